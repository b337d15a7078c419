/** `npm run features`: makes docs/features.md anew of scripts/features.txt and of what the tests showed. */
import { writePage } from "./lib/feature_results.mjs";

writePage();
