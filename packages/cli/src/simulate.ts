/**
 * `sampleline simulate`: simulated devices for any program that opens serial ports, until Ctrl-C.
 */
import { Simulator } from "@sampleline/alicat"
import { Command, Flag } from "effect/cli"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { faultFlags, parseFaults } from "./faultFlags.ts"
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
      Flag.withDescription("How many devices share a port, as units A, B and so on (default: 1)"),
      Flag.withDefault(1)
    ),
    tcp: Flag.Int("tcp").pipe(
      Flag.withMetavar("PORT"),
      Flag.withDescription(
        "Serve on 127.0.0.1 instead of pseudo-terminals, on this TCP port and the following ones; 0 takes free ports"
      ),
      Flag.optional
    ),
    baud: Flag.Int("baud").pipe(
      Flag.withMetavar("RATE"),
      Flag.withDescription("Answer only at this baud rate; not for TCP (default: any)"),
      Flag.optional
    ),
    firmware: Flag.Literals("firmware", ["10v20", "6v21", "GP07", "BASIS"]).pipe(
      Flag.withMetavar("VERSION"),
      Flag.withDescription(
        "Firmware to simulate: the current one (10v20), older ones (6v21, GP07), or a BASIS device, which has no tables "
          + "(default: 10v20)"
      ),
      Flag.withDefault("10v20" as const)
    ),
    numbered: Flag.Boolean("numbered").pipe(
      Flag.withDescription("Add a column that counts each device's readings"),
      Flag.withDefault(false)
    ),
    ...faultFlags
  },
  Effect.fnUntraced(function*({ baud, devices, firmware, numbered, tcp, units, ...faultTexts }) {
    const { first: signal } = yield* Signals.listen
    const faults = yield* parseFaults(faultTexts)
    const ports = yield* Simulator.make({
      devices,
      units,
      tcp: Option.getOrUndefined(tcp),
      baud: Option.getOrUndefined(baud),
      firmware,
      numbered,
      faults
    })
    for (const { name, port, unit } of ports) yield* Console.log(`${name} ${unit} ${port}`)
    yield* Effect.logInfo("serving until Ctrl-C")
    const name = yield* signal
    if (name !== "SIGINT") return yield* Signals.end(name)
  }, Effect.scoped)
).pipe(
  Command.withShortDescription("Serve simulated devices to any program"),
  Command.withDescription(
    "Serve simulated devices on pseudo-terminals or TCP until Ctrl-C. Prints a line for each device: NAME UNIT PORT."
  ),
  Command.withExamples([
    { command: "sampleline simulate --devices 2", description: "Serve two devices" },
    {
      command: "sampleline record --device fuel=/dev/pts/3 --out run.csv",
      description: "Record one of them from another terminal"
    },
    {
      command: "sampleline simulate --devices 2 --units 2 --tcp 4001",
      description: "Serve units A and B on tcp://127.0.0.1:4001"
    },
    {
      command: "sampleline simulate --devices 2 --delay 600ms/3 --vanish sim2:10s+5s",
      description: "Delay every third reply, and remove the port of sim2 after 10 s for 5 s"
    }
  ])
)
