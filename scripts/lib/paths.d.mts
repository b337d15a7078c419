export const root: string;
export function inRepository(relative: string): string;
