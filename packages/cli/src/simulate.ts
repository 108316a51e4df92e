/**
 * `sampleline simulate`: simulated devices for any program that opens serial ports, until Ctrl-C.
 */
import { Simulator } from "@sampleline/alicat"
import { Command, Flag } from "effect/cli"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Ended } from "./failures.ts"
import * as Signals from "./signals.ts"

export const simulateCommand = Command.make(
  "simulate",
  {
    devices: Flag.Int("devices").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("How many devices, one on a port each (default: 1)"),
      Flag.withDefault(1)
    )
  },
  Effect.fnUntraced(function*({ devices }) {
    const { first: signal } = yield* Signals.listen
    const ports = yield* Simulator.make({ devices })
    for (const { name, port, unit } of ports) yield* Console.log(`${name} ${unit} ${port}`)
    yield* Effect.logInfo("serving until Ctrl-C")
    const name = yield* signal
    if (name !== "SIGINT") return yield* new Ended({ exitCode: Signals.exitCodes[name] })
  }, Effect.scoped)
).pipe(
  Command.withDescription("Serve simulated devices on pseudo-terminals; prints NAME UNIT PORT, a line each"),
  Command.withExamples([
    { command: "sampleline simulate --devices 2", description: "Two devices; record them from another terminal" },
    { command: "sampleline record --device fuel=/dev/pts/3 --out run.csv", description: "Record one of them" }
  ])
)
