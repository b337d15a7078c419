/**
 * Readings of a clock that are taken once for all that happens in one go.
 *
 * @module
 */

/**
 * Makes a reading that is taken again only when the microtasks that are due now have run: many runs begin and end in one
 * turn of the event loop, and a look at a clock for each is a part of a quick one's time.
 */
export function onceATurn(read: () => number): () => number {
  let reading: number | undefined;
  const forget = (): void => void (reading = undefined);
  return () => {
    if (reading === undefined) {
      reading = read();
      // Not by queueMicrotask: jest's fake timers put theirs in its place, and the reading would be the last for ever.
      void Promise.resolve().then(forget);
    }
    return reading;
  };
}
