/**
 * `sampleline simulate`: simulated devices for any program that opens serial ports, until Ctrl-C.
 */
import { Simulator } from "@sampleline/alicat"
import { Command, Flag } from "effect/cli"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Ended } from "./failures.ts"
import * as Signals from "./signals.ts"

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
    )
  },
  Effect.fnUntraced(function*({ devices, tcp, units }) {
    const { first: signal } = yield* Signals.listen
    const ports = yield* Simulator.make({ devices, units, tcp: Option.getOrUndefined(tcp) })
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
    { command: "sampleline record --device fuel=/dev/pts/3 --out run.csv", description: "Record one of them" }
  ])
)
