/**
 * Work for each of a list, some side by side.
 *
 * @module
 */

/**
 * Does work for each of a list, `most` side by side; answers in their order. Once `stopped` nothing further is begun,
 * and the answers end before or have gaps.
 */
export async function eachOf<Item, Result>(
  most: number,
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  stopped: () => boolean = () => false,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let index = 0;
  const one = async (): Promise<void> => {
    for (let n = index++; n < items.length && !stopped(); n = index++) {
      results[n] = await work(items[n] as Item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, one));
  return results;
}
