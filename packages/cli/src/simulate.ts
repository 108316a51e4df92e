/**
 * `sampleline simulate`: simulated devices for any program that opens serial ports, until Ctrl-C.
 */
import { Simulator } from "@sampleline/alicat"
import { Command, Flag } from "effect/cli"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Ended } from "./failures.ts"
import { type FaultKind, FORMS, parseFaults } from "./faults.ts"
import * as Signals from "./signals.ts"

const faultFlag = (kind: FaultKind, what: string) =>
  Flag.String(kind).pipe(
    Flag.withMetavar(kind === "delay" ? "TIME" : "WHEN"),
    Flag.withDescription(`${what}: ${FORMS[kind]}; can be given several times`),
    Flag.atLeast(0)
  )

export const simulateCommand = Command.make(
  "simulate",
  {
    devices: Flag.Int("devices").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("How many devices (default: 1)"),
      Flag.withDefault(1)
    ),
    units: Flag.Int("units").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("How many of them share a port, as units A, B and so on (default: 1)"),
      Flag.withDefault(1)
    ),
    tcp: Flag.Int("tcp").pipe(
      Flag.withMetavar("PORT"),
      Flag.withDescription(
        "Serve on TCP ports of this machine from this one on, 0 for any, instead of pseudo-terminals"
      ),
      Flag.optional
    ),
    firmware: Flag.Literals("firmware", ["10v20", "GP07"]).pipe(
      Flag.withDescription("Whose wire they speak: the current one or a legacy one (default: 10v20)"),
      Flag.withDefault("10v20" as const)
    ),
    numbered: Flag.Boolean("numbered").pipe(
      Flag.withDescription("Add a column that counts the readings of each device"),
      Flag.withDefault(false)
    ),
    delay: faultFlag("delay", "Answer late"),
    garble: faultFlag("garble", "Put a byte of noise into the reply"),
    cut: faultFlag("cut", "Leave out the second half of the reply"),
    silent: faultFlag("silent", "Give no reply"),
    vanish: faultFlag("vanish", "Take the port away"),
    swap: faultFlag("swap", "Take two ports away, and bring each back with the other's devices")
  },
  Effect.fnUntraced(function*({ devices, firmware, numbered, tcp, units, ...texts }) {
    const { first: signal } = yield* Signals.listen
    const faults = yield* parseFaults(texts)
    const ports = yield* Simulator.make({
      devices,
      units,
      tcp: Option.getOrUndefined(tcp),
      firmware,
      numbered,
      faults
    })
    for (const { name, port, unit } of ports) yield* Console.log(`${name} ${unit} ${port}`)
    yield* Effect.logInfo("serving until Ctrl-C")
    const name = yield* signal
    if (name !== "SIGINT") return yield* new Ended({ exitCode: Signals.exitCodes[name] })
  }, Effect.scoped)
).pipe(
  Command.withDescription("Serve simulated devices on pseudo-terminals or TCP; prints NAME UNIT PORT, a line each"),
  Command.withExamples([
    { command: "sampleline simulate --devices 2", description: "Two devices; record them from another terminal" },
    {
      command: "sampleline simulate --devices 2 --units 2 --tcp 4001",
      description: "Units A and B behind tcp://127.0.0.1:4001"
    },
    { command: "sampleline record --device fuel=/dev/pts/3 --out run.csv", description: "Record one of them" },
    {
      command: "sampleline simulate --devices 2 --delay 600ms/3 --vanish sim2:10s+5s",
      description: "Every third reply late; the port of one goes after 10 s and is back 5 s later"
    }
  ])
)
