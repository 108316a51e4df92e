/**
 * `sampleline discover`: which devices answer on which port, and how to record them.
 */
import { Alicat } from "@sampleline/alicat"
import { Argument, Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { RunError, UsageError } from "./errors.ts"
import * as Signals from "./signals.ts"
import { print, say, showStatus } from "./terminal.ts"

type Found = Extract<Alicat.Discovery, { readonly _tag: "Device" }>

export const discoverCommand = Command.make(
  "discover",
  {
    ports: Argument.String("PORT").pipe(
      Argument.withDescription("A tty, a COM name or tcp://HOST:PORT (default: all serial ports of this machine)"),
      Argument.variadic()
    ),
    units: Flag.String("units").pipe(
      Flag.withMetavar("IDS"),
      Flag.withDescription("Unit ids to try, such as A, A-D or A,C,F (default: A-Z)"),
      Flag.withDefault("A-Z")
    ),
    baud: Flag.Int("baud").pipe(
      Flag.withMetavar("RATE"),
      Flag.withDescription("Baud rate to try; can be repeated (default: 19200, 115200, 38400, 9600, 57600)"),
      Flag.atLeast(0)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the devices as one JSON array"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ baud, json, ports, units }) {
    const { first: signal } = yield* Signals.listen
    const unitIds = yield* parseUnits(units)
    const found: Array<Found> = []
    const search = Alicat.discover({
      ports: ports.length > 0 ? ports : undefined,
      units: unitIds,
      bauds: baud.length > 0 ? baud : undefined
    }).pipe(Stream.runForEach(Effect.fnUntraced(function*(event) {
      if (event._tag === "Device") {
        found.push(event)
        if (event.problem !== null) {
          yield* Effect.logWarning(`${flagOf(event)} cannot be recorded: ${event.problem.detail}`)
        } else if (!json) print(`${flagOf(event)}   ${describe(event)}`)
      } else yield* report(event, unitIds[0])
    })))
    yield* Effect.raceFirst(search, Effect.flatMap(signal, Signals.end))
    if (json) print(JSON.stringify(found.map(toJson)))
    if (found.length === 0) {
      return yield* new RunError({
        message: ports.length > 0
          ? `no device answered on ${ports.join(", ")}; check power and cable, and try other --units and --baud`
          : "no device answered on the serial ports of this machine; check power, cable and adapter"
      })
    }
    if (found.every(({ problem }) => problem !== null)) {
      return yield* new RunError({ message: "no device was found that can be recorded; see the warnings above" })
    }
  }, Effect.scoped)
).pipe(
  Command.withShortDescription("Find devices and their ports"),
  Command.withDescription("Find devices and their ports. Prints the --device flag that records each one."),
  Command.withExamples([
    {
      command: "sampleline discover",
      description: "Search all serial ports for unit ids A to Z at the usual baud rates"
    },
    { command: "sampleline discover /dev/ttyUSB0 --units A-D --baud 19200", description: "Search less, and faster" },
    {
      command: "sampleline discover tcp://192.168.0.20:4001 --json",
      description: "Search behind a serial server, for a program to read"
    }
  ])
)

/** `A-D` or `A,C,F`. */
const parseUnits = Effect.fnUntraced(function*(text: string) {
  const units: Array<string> = []
  for (const part of text.toUpperCase().split(",")) {
    const [, first = "", last = first] = /^([A-Z])(?:-([A-Z]))?$/.exec(part.trim()) ?? []
    if (first === "" || last < first) {
      return yield* new UsageError({ message: `--units ${text}: write unit ids as A, A-D or A,C,F` })
    }
    for (let code = first.charCodeAt(0); code <= last.charCodeAt(0); code++) units.push(String.fromCharCode(code))
  }
  return units
})

/** `--device NAME=/dev/ttyUSB0,unit=A,baud=19200`. */
const flagOf = ({ baud, port, unitId }: Found): string =>
  `--device NAME=${port},unit=${unitId}${baud === null ? "" : `,baud=${baud}`}`

/** The device's identity. */
const describe = ({ identity }: Found): string =>
  identity === null
    ? "identity unknown"
    : [
      identity.model ?? "model unknown",
      `serial number ${identity.serialNumber ?? "unknown"}`,
      `firmware ${identity.firmware ?? "unknown"}`,
      ...(identity.calibrationDate === null ? [] : [`calibrated ${identity.calibrationDate}`])
    ].join(", ")

const toJson = ({ baud, format, identity, port, problem, unitId }: Found) => ({
  port,
  unit: unitId,
  baud,
  identity,
  columns: format === null ? null : format.fields.map(({ name, unit }) => ({ name, unit })),
  problem: problem === null ? null : problem.detail
})

const report = (event: Exclude<Alicat.Discovery, Found>, firstUnit: string | undefined) => {
  switch (event._tag) {
    case "Asking": {
      const text = `${event.port}: asking unit ${event.unitId}${event.baud === null ? "" : ` at ${event.baud} baud`}, ${
        Math.floor(100 * event.done / event.of)
      } %`
      if (process.stderr.isTTY) return showStatus(text)
      // Elsewhere one line for each port and baud rate is enough.
      return event.unitId === firstUnit ? Effect.sync(() => say(text)) : Effect.void
    }
    case "Streams":
      return Effect.logWarning(
        `${event.port}: a device is streaming, so its unit id cannot be found; switch it off and on, or record it with `
          + "its unit id (that stops the stream)"
      )
    case "Echoes":
      return Effect.logWarning(
        `${event.port}: no device answers, but the port echoes what is sent; look for a loopback plug, an adapter with its echo `
          + "on, or another program on the port"
      )
    case "Heard":
      return Effect.logWarning(
        `${event.port}: no device answers, but ${event.text} ${
          event.withoutEnd ? "comes without end" : "was heard"
        }; check --units and --baud, and that no other program reads the port`
      )
    case "PortFailed":
      return Effect.logWarning(event.error.message)
  }
}
