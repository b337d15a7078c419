/** Every promise, as tests on the stage that `examineOn` was told last. */
export async function everyPromise(): Promise<void> {
  await import("../../web/promises/01-at-least-once.test.ts");
  await import("../../web/promises/02-published-before-consumed.test.ts");
  await import("../../web/promises/03-fenced.test.ts");
  await import("../../web/promises/04-leases-renew-themselves.test.ts");
  await import("../../web/promises/05-waiting-costs-no-slot.test.ts");
  await import("../../web/promises/06-one-meaning-of-n.test.ts");
  await import("../../web/promises/07-two-timers.test.ts");
  await import("../../web/promises/08-bad-input-isolated.test.ts");
  await import("../../web/promises/08-bad-input.test.ts");
  await import("../../web/promises/09-every-wait-can-be-ended-stop.test.ts");
  await import("../../web/promises/09-every-wait-can-be-ended.test.ts");
  await import("../../web/promises/10-a-broker-that-goes-away.test.ts");
  await import("../../web/promises/11-observers-cannot-hurt.test.ts");
  await import("../../web/promises/12-nothing-secret-in-logs.test.ts");
  await import("../../web/promises/13-ids.test.ts");
}
