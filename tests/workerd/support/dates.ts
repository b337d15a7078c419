/**
 * The date that bare workerd is to go by. Later dates than 2026-08-03 have nodejs_compat on by default: they would leave
 * nothing to be without.
 */
export const compatibilityDate = "2026-07-01";
