/** What workerd needs to be told before a server can be reached, by the way to it. The README's table says the same. */
export const FLAGS = { tcp: ["nodejs_compat"], webSocket: [] } as const;
