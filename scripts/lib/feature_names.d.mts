export function namesInSources(): readonly string[];
export function compareNames(
  sources: readonly string[],
  passed: readonly string[],
): { readonly unshown: readonly string[]; readonly unknown: readonly string[] };
