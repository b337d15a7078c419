import { describe } from "vitest";
import { fromBroker } from "../../mod.ts";
import { competing } from "../web/support/bare_brokers.ts";
import { blocked } from "./support/blocked.ts";

describe("a blocked thread, on a bare broker", () => blocked(() => fromBroker(competing())));
