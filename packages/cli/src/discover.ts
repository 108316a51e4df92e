/**
 * `sampleline discover`: which devices answer where, and what to write to record them.
 */
import { Alicat } from "@sampleline/alicat"
import { Argument, Command, Flag } from "effect/cli"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Ended, RunError, UsageError } from "./failures.ts"
import * as Signals from "./signals.ts"
import { say, showStatus } from "./terminal.ts"

type Found = Extract<Alicat.Discovery, { readonly _tag: "Device" }>

export const discoverCommand = Command.make(
  "discover",
  {
    ports: Argument.String("PORT").pipe(
      Argument.withDescription("A tty, a COM name or tcp://host:port (default: the serial ports of this machine)"),
      Argument.variadic()
    ),
    units: Flag.String("units").pipe(
      Flag.withMetavar("A-D"),
      Flag.withDescription("Which unit ids to ask, such as A, A-D or A,C,F (default: A-Z)"),
      Flag.withDefault("A-Z")
    ),
    baud: Flag.Int("baud").pipe(
      Flag.withDescription("A baud rate to try; can be given several times (default: 19200, then 115200)"),
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
        if (!json) yield* Console.log(describe(event))
      } else yield* tell(event, unitIds[0])
    })))
    yield* Effect.raceFirst(
      search,
      Effect.flatMap(signal, (name) => new Ended({ exitCode: Signals.exitCodes[name] }))
    )
    if (json) yield* Console.log(JSON.stringify(found.map(toJson)))
    if (found.length === 0) {
      return yield* new RunError({
        message: ports.length > 0
          ? `no device answered on ${
            ports.join(", ")
          }; check power, the cable, and with --units and --baud what was asked`
          : "no device answered on the serial ports of this machine; is the adapter plugged in and the device on?"
      })
    }
  }, Effect.scoped)
).pipe(
  Command.withDescription("Find out which devices answer where; prints for each what to give to record"),
  Command.withExamples([
    { command: "sampleline discover", description: "All serial ports, unit ids A to Z, 19200 and 115200 baud" },
    { command: "sampleline discover /dev/ttyUSB0 --units A-D --baud 19200", description: "One port, and faster" },
    {
      command: "sampleline discover tcp://192.168.0.20:4001 --json",
      description: "Behind a serial server, for a program"
    }
  ])
)

/** `A-D` or `A,C,F`. */
const parseUnits = Effect.fnUntraced(function*(text: string) {
  const units: Array<string> = []
  for (const part of text.toUpperCase().split(",")) {
    const [, first = "", last = first] = /^([A-Z])(?:-([A-Z]))?$/.exec(part.trim()) ?? []
    if (first === "" || last < first) {
      return yield* new UsageError({ message: `--units ${text}: give unit ids as A, A-D or A,C,F` })
    }
    for (let code = first.charCodeAt(0); code <= last.charCodeAt(0); code++) units.push(String.fromCharCode(code))
  }
  return units
})

/** `fuel=/dev/ttyUSB0,unit=A,baud=19200` for `--device`, and who it is. */
const describe = ({ baud, identity, port, unitId }: Found): string => {
  const who = identity === null
    ? "identity unknown"
    : [
      identity.model ?? "model unknown",
      `serial number ${identity.serialNumber ?? "unknown"}`,
      `firmware ${identity.firmware ?? "unknown"}`,
      ...(identity.calibrationDate === null ? [] : [`calibrated ${identity.calibrationDate}`])
    ].join(", ")
  return `--device NAME=${port},unit=${unitId}${baud === null ? "" : `,baud=${baud}`}   ${who}`
}

const toJson = ({ baud, format, identity, port, unitId }: Found) => ({
  port,
  unit: unitId,
  baud,
  identity,
  columns: format === null ? null : format.fields.map(({ name, unit }) => ({ name, unit }))
})

const tell = (event: Exclude<Alicat.Discovery, Found>, first: string | undefined) => {
  switch (event._tag) {
    case "Asking": {
      const text = `${event.port}: unit ${event.unitId}${event.baud === null ? "" : ` at ${event.baud} baud`}, ${
        Math.floor(100 * event.done / event.of)
      } %`
      // Off a terminal a line for each port and rate is enough.
      return process.stderr.isTTY
        ? showStatus(text)
        : event.unitId === first
        ? Effect.sync(() => say(text))
        : Effect.void
    }
    case "Streams":
      return Effect.logWarning(
        `${event.port}: a device there streams, so its unit id is unknown; \`record\` stops it if it is told the right one, `
          + "or switch it off and on"
      )
    case "PortFailed":
      return Effect.logWarning(event.error.message)
  }
}
