/** Waiting for what shall become true, in tests that run at the same time, where `expect.poll` does not work. */

const PATIENCE = 60_000;
const PAUSE = 20;

/** Asks again and again until the answer is yes; throws when it is not in time. */
export async function becomes(
  what: string,
  asked: () => Promise<boolean> | boolean,
  patience: number = PATIENCE,
): Promise<void> {
  const end = performance.now() + patience;
  while (!await asked()) {
    if (performance.now() > end) throw new Error(`It did not become true in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}
