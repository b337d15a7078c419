/** Runtimes that cannot tell which call follows from which. */
import { onTestFinished } from "vitest";

/** Takes the runtime's `AsyncLocalStorage` away until the test is over. */
export function withoutAsyncStore(): void {
  const process: unknown = Reflect.get(globalThis, "process");
  Reflect.defineProperty(globalThis, "process", { value: undefined, configurable: true, writable: true });
  onTestFinished(() => {
    Reflect.defineProperty(globalThis, "process", { value: process, configurable: true, writable: true });
  });
}
