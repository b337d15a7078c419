/**
 * The floors of the house, from the ground up. A file lives in the first room whose pattern fits its path, and
 * imports from its own room and from the rooms named by `uses`. docs/architecture.md says the same.
 */
export interface Room {
  readonly name: string;
  readonly files: RegExp;
  readonly uses: readonly string[];
  /** Each file or folder directly in the room stands alone: an adapter never knows another one. */
  readonly apart?: boolean;
}

export const rooms: readonly Room[] = [
  { name: "contract", files: /^src\/contract\//, uses: ["ground"] },
  { name: "guard", files: /^src\/guard\//, uses: ["ground", "contract"] },
  { name: "store", files: /^src\/store\//, uses: ["ground", "contract", "guard"] },
  {
    name: "bridge",
    files: /^src\/transports\/broker\//,
    uses: ["ground", "contract", "guard", "store", "transports"],
  },
  { name: "nats client", files: /^src\/transports\/nats\/client\//, uses: ["ground"] },
  { name: "nats stream", files: /^src\/transports\/nats\/stream\//, uses: ["ground", "nats client"] },
  {
    name: "transports",
    files: /^src\/transports\//,
    uses: ["ground", "contract", "guard", "store", "nats client", "nats stream"],
    apart: true,
  },
  { name: "schedules", files: /^src\/schedules\//, uses: ["ground", "contract"] },
  { name: "worker", files: /^src\/worker\//, uses: ["ground", "contract", "schedules"] },
  { name: "codecs", files: /^src\/codecs\//, uses: ["ground"] },
  { name: "shelf", files: /^src\/middleware\/mod\.ts$/, uses: ["ground", "contract", "middleware"] },
  { name: "middleware", files: /^src\/middleware\//, uses: ["ground", "contract"], apart: true },
  {
    name: "relay",
    files: /^src\/relay\//,
    uses: ["ground", "contract", "guard", "transports", "schedules", "worker", "middleware"],
  },
  { name: "cron", files: /^src\/cron\//, uses: ["ground"] },
  { name: "connect", files: /^src\/connect\.ts$/, uses: ["ground", "contract", "transports"] },
  { name: "config", files: /^src\/config\//, uses: ["ground", "contract", "worker", "relay", "connect"] },
  { name: "operate", files: /^src\/operate\//, uses: ["ground", "contract", "relay"] },
  { name: "otel", files: /^src\/otel\//, uses: ["ground"] },
  { name: "prometheus", files: /^src\/prometheus\//, uses: ["ground", "contract", "relay"] },
  { name: "http", files: /^src\/http\//, uses: ["ground", "contract", "relay", "operate"] },
  {
    name: "cli",
    files: /^src\/cli\//,
    uses: ["ground", "contract", "relay", "connect", "config", "cron", "operate"],
  },
  {
    name: "testing",
    files: /^src\/testing\//,
    uses: ["ground", "contract", "transports", "worker", "relay", "face"],
  },
  {
    name: "face",
    files: /^mod\.ts$/,
    uses: ["ground", "contract", "transports", "bridge", "schedules", "worker", "middleware", "relay"],
  },
  { name: "ground", files: /^src\/((jobs|payload|flow|events|sides)\/)?[^/]+\.ts$/, uses: [] },
];

/** The room of a file, or undefined for a file outside of the house. */
export function roomOf(file: string): Room | undefined {
  return rooms.find((room) => room.files.test(file));
}

/** The file or folder in which a file stands directly in its room: `sqlite` for src/transports/sqlite/mod.ts. */
export function cornerOf(file: string): string | undefined {
  return file.split("/")[2]?.replace(/\.ts$/, "");
}
