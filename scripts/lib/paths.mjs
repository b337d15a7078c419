/* @ts-self-types="./paths.d.mts" */
import { fileURLToPath } from "node:url";

/** The repository's root, as a path that may hold spaces. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** The path of a file of the repository. */
export function inRepository(relative) {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}
