/**
 * A rule for deno lint: time, chance and the process come through the runtime port (src/runtime.ts) and nowhere
 * else, so that a test's clock is the only clock. Test kits and command lines live outside of the rule.
 */
import { fileURLToPath } from "node:url";

const globals = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
  // Fake timers of a test runner put theirs in its place, too; a promise's microtasks stay.
  "queueMicrotask",
  "performance",
  "crypto",
  "process",
  "Deno",
  "Bun",
]);
/** Digests and ciphers give the same for the same: what they are given draws on no chance of theirs. */
const exempt = new Set(["crypto.subtle"]);
const members = new Set(["Date.now", "Math.random", "AbortSignal.timeout"]);

const root = fileURLToPath(new URL("../../", import.meta.url)).replaceAll("\\", "/");

function isPlaceOfTheRule(filename) {
  const path = filename.replaceAll("\\", "/").replace(root, "");
  return path.startsWith("src/") && !/^src\/(runtime\.ts$|testing\/|cli\/)/.test(path);
}

function nameOf(property, computed) {
  if (!computed && property.type === "Identifier") return property.name;
  return property.type === "Literal" ? String(property.value) : undefined;
}

/** Whether an identifier names a value here, and not a property, a type or an import. */
function isValue(node) {
  const { parent } = node;
  if (parent.type === "MemberExpression") return parent.object === node || parent.computed;
  if (parent.type === "Property") return parent.value === node || parent.computed;
  if (parent.type === "MethodDefinition" || parent.type === "PropertyDefinition") {
    return parent.value === node || parent.computed;
  }
  return !parent.type.startsWith("TS") || parent.type.endsWith("Expression");
}

function isExempt({ name, parent }) {
  return parent.type === "MemberExpression" &&
    exempt.has(`${name}.${nameOf(parent.property, parent.computed)}`);
}

export default {
  name: "relevo",
  rules: {
    "runtime-port": {
      create(context) {
        if (!isPlaceOfTheRule(context.filename)) return {};
        const report = (node, name) =>
          context.report({
            node,
            message: `Cannot use '${name}' here: time, chance and the process come through src/runtime.ts`,
          });
        return {
          Identifier(node) {
            if (globals.has(node.name) && isValue(node) && !isExempt(node)) report(node, node.name);
          },
          MemberExpression(node) {
            if (node.object.type !== "Identifier") return;
            const property = nameOf(node.property, node.computed);
            const name = `${node.object.name}.${property}`;
            if (members.has(name)) report(node, name);
            else if (node.object.name === "globalThis" && globals.has(property)) report(node, name);
          },
          NewExpression(node) {
            if (node.callee.name === "Date" && node.arguments.length === 0) report(node, "new Date()");
          },
          CallExpression(node) {
            if (node.callee.name === "Date") report(node, "Date()");
          },
        };
      },
    },
  },
};
