export function withLock<T>(path: string, action: () => T): T;
