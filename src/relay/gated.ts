/**
 * The operator's calls and those of groups, inside the relay's gate: a relay that closes waits for them, and refuses
 * them afterwards.
 *
 * @module
 */

import type { Admin } from "./admin.ts";
import type { Jobs } from "../jobs/definitions.ts";
import type { Gate } from "../flow/gate.ts";
import type { Groups } from "./groups.ts";

/** Groups that close with the relay. */
export function gatedGroups(groups: Groups<Jobs>, gate: Gate): Groups<Jobs> {
  return {
    bind: (...rest) => gate.pass(() => groups.bind(...rest), "bind a group"),
    unbind: (...rest) => gate.pass(() => groups.unbind(...rest), "unbind a group"),
    groups: (...rest) => gate.pass(() => groups.groups(...rest), "list the groups"),
  };
}

/** An operator's part that closes with the relay. */
export function gatedAdmin(admin: Admin, gate: Gate): Admin {
  return {
    info: (...rest) => gate.pass(() => admin.info(...rest), "show a queue"),
    queues: (...rest) => gate.pass(() => admin.queues(...rest), "list queues"),
    list: (...rest) => gate.pass(() => admin.list(...rest), "list jobs"),
    get: (...rest) => gate.pass(() => admin.get(...rest), "get a job"),
    reload: (...rest) => gate.pass(() => admin.reload(...rest), "reload jobs"),
    remove: (...rest) => gate.pass(() => admin.remove(...rest), "remove jobs"),
    validate: (...rest) => gate.pass(() => admin.validate(...rest), "validate jobs"),
    diagnose: (...rest) => gate.pass(() => admin.diagnose(...rest), "diagnose the store"),
  };
}
