/**
 * The version of this package, as its manifests say it: a test compares them.
 *
 * @module
 */

/** The version. */
export const VERSION = "0.1.0";
