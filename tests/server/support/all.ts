/** Whether the product of servers, ways and runtimes is to run: `npm test -- --all`. */
import process from "node:process";

export const ALL: boolean = process.env.RELEVO_ALL === "1";
