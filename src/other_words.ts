/**
 * Words of other job libraries, and ours for the same: a program that is moved from one of them is answered with
 * ours.
 *
 * @module
 */

const WORDS: Readonly<Record<string, string>> = {
  attempts: "runs in all are 'maxAttempts', of a worker 'maxRetry'",
  attemptsMade: "a handler's context has 'attempt'",
  backoffStrategy: "'backoff' takes a function, or exponential(ms), linear(ms), fixed(ms) or jittered(ms)",
  connection: "where jobs are kept is 'transport', as in transport: await connect('redis://host:6379')",
  cron: "relay.schedule(name, payload, { when }) repeats a job",
  data: "what a handler gets is 'payload'",
  deduplication: "a job with the same 'id' is stored once",
  every: "relay.schedule(name, payload, { when: every(ms) }) repeats a job",
  handler: "relay.handle(name, handler) registers a handler",
  jobId: "a job's own id is 'id'",
  lockDuration: "how long a job is its worker's own is 'lease'",
  maxRetries: "runs in all are 'maxRetry' of a worker, 'maxAttempts' of a job",
  maxStalledCount: "lost leases that a job survives are 'maxLost'",
  opts: "what a job's options say stands beside 'name' and 'payload'",
  pollInterval: "the longest wait for a job is 'poll'",
  processor: "relay.handle(name, handler) registers a handler",
  removeOnComplete: "a job that is done is always removed",
  removeOnFail: "a dead job is kept until relay.remove or relay.reload",
  repeat: "relay.schedule(name, payload, { when }) repeats a job",
  retries: "runs in all are 'maxAttempts', of a worker 'maxRetry'",
  retryLimit: "runs in all are 'maxAttempts', of a worker 'maxRetry'",
  startAfter: "the instant before which a job may not run is 'at', milliseconds from now are 'delay'",
  stalledInterval: "how long a job is its worker's own is 'lease'",
  ttl: "milliseconds that one run may take are 'timeout'",
  visibilityTimeout: "how long a job is its worker's own is 'lease'",
};

/** Our word for one of other libraries; undefined for a word of no library. */
export function ourWordFor(word: string): string | undefined {
  return Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
}
