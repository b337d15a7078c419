import { describe } from "vitest";
import { memory } from "../../mod.ts";
import { blocked } from "./support/blocked.ts";

describe("a blocked thread, on memory", () => blocked(() => memory()));
