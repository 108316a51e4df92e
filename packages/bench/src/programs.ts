/**
 * The programs whose recordings are compared: the command in several variants, and plain pollers.
 */
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"
import type { PollerOptions } from "./poller.ts"
import { COMMAND, COMMAND_FLAGS, type SimulatedDevice, type Transport } from "./simulator.ts"

/** One recording that a program is to make. */
export interface Job {
  readonly devices: ReadonlyArray<SimulatedDevice>
  readonly transport: Transport
  readonly rateHz: number
  readonly slots: number
  /** Where the CSV goes. Other outputs go beside it. */
  readonly csv: string
}

export interface Program {
  readonly name: string
  readonly transports: ReadonlyArray<Transport>
  /** What Node is called with. */
  readonly args: (job: Job) => ReadonlyArray<string>
}

interface Variant {
  readonly name: string
  /** File extensions of the outputs. The first is `csv`. */
  readonly outputs: ReadonlyArray<string>
  readonly flags: ReadonlyArray<string>
}

/** How the command is called. To measure another way, add a line. */
const VARIANTS: ReadonlyArray<Variant> = [
  { name: "csv", outputs: ["csv"], flags: [] },
  { name: "csv, simple", outputs: ["csv"], flags: ["--no-journal"] },
  { name: "csv+db+parquet", outputs: ["csv", "db", "parquet"], flags: [] }
]

/** A recording by the command. */
export const record = ({ flags, name, outputs }: Variant): Program => ({
  name,
  transports: ["tty", "tcp"],
  args: ({ csv, devices, rateHz, slots }) => [
    ...COMMAND_FLAGS,
    COMMAND,
    "record",
    ...devices.flatMap(({ name, port, unit }) => ["--device", `${name}=${port},unit=${unit}`]),
    ...outputs.flatMap((extension) => ["--out", csv.replace(/csv$/, extension)]),
    "--rate",
    String(rateHz),
    "--duration",
    `${slots / rateHz * 1000}ms`,
    "--json",
    ...flags
  ]
})

const POLLER = fileURLToPath(new URL("../dist/poller.js", import.meta.url))

/** Makes the poller ready to start. Node would load a compiler to run it from its source, and that takes 17 MiB. */
export const buildPoller = Effect.promise(() =>
  build({
    input: fileURLToPath(new URL("poller.ts", import.meta.url)),
    platform: "node",
    external: ["serialport"],
    output: { file: POLLER, format: "esm" }
  })
)

const poller = (
  name: string,
  transports: ReadonlyArray<Transport>,
  tty: PollerOptions["through"]
): Program => ({
  name,
  transports,
  args: ({ csv, devices, rateHz, slots, transport }) => {
    const through = transport === "tcp" ? "tcp" : tty
    return [POLLER, JSON.stringify({ devices, through, rateHz, slots, out: csv } satisfies PollerOptions)]
  }
})

/** The limit. */
export const plainPoller = poller("plain poller", ["tty", "tcp"], "descriptor")

/** Compared with the limit. */
export const programs: ReadonlyArray<Program> = [
  poller("serialport", ["tty"], "stream"),
  ...VARIANTS.map(record)
]
