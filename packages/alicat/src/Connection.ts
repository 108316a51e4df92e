/**
 * From a port's name to the devices on it: opens the port, finds its baud rate, and asks the devices who they are.
 */
import { type Device, type DeviceIdentity, type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { type Duration, Effect, type Scope } from "effect"
import type { Place, PortPlan, Unit } from "./Plan.ts"
import { openPort, type Port } from "./Port.ts"
import { canonicalPath, serialTransport } from "./SerialTransport.ts"
import { tcpTransport } from "./TcpTransport.ts"
import { decodeFrameTable, type FrameLayout, frameTableCommand } from "./wire/FrameTable.ts"
import { decodeFirmware, decodeManufacturing, firmwareCommand, manufacturingCommand } from "./wire/Identity.ts"
import { decodeUnit, pollCommand, stopStreamingCommand } from "./wire/PollLine.ts"

/**
 * Opens the port and finds its baud rate, null where it has none; the devices are not looked for yet. The scope closes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect = Effect.fnUntraced(function*(
  plan: PortPlan,
  bauds: ReadonlyArray<number>,
  timeout: Duration.Duration
): Effect.fn.Return<
  { readonly port: Port; readonly baud: number | null },
  SourceOpenError | SourceDependencyError,
  Scope.Scope
> {
  const port = yield* openAt(plan, bauds[0], timeout)
  const baud = yield* findBaud(port, { ...plan, bauds })
  yield* Effect.logInfo(`opened ${port.path}${baud === null ? "" : ` at ${baud} baud`}`)
  return { port, baud }
})

/**
 * Opens the port, and looks for nothing on it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openAt = ({ address, given, path }: Place, baud: number | undefined, timeout: Duration.Duration) => {
  const current = address === null ? canonicalPath(given) : path
  const transport = address === null ? serialTransport(current) : tcpTransport(current, address)
  return openPort(current, transport, baud ?? 0, timeout)
}

/**
 * Whether the device answers a poll.
 *
 * @since 0.1.0
 * @category queries
 */
export const answers = (port: Port, { unitId }: Pick<Unit, "unitId">): Effect.Effect<boolean> =>
  Effect.isSuccess(port.askLine(pollCommand(unitId), (line) => decodeUnit(line, unitId)))

/**
 * The first baud rate at which a device on the port answers a poll, null where the port has none. Each is tried twice: noise may
 * cost the first reply.
 */
const findBaud = Effect.fnUntraced(function*(port: Port, { bauds, path, units }: PortPlan) {
  const [first] = units as [Unit]
  const rates: ReadonlyArray<number | null> = bauds.length === 0 ? [null] : bauds
  for (const baud of [...rates, ...rates]) {
    if (bauds.length > 1) yield* Effect.ignore(port.setBaud(baud!))
    if (units.length === 1) yield* Effect.ignore(port.tell(stopStreamingCommand(first.unitId)))
    const silent = yield* Effect.filter(units, (unit) => Effect.map(answers(port, unit), (answered) => !answered))
    if (units.length > 1 && silent.length > 0 && (yield* isStreaming(port))) {
      if (silent.length > 1) continue
      yield* stopStreaming(port, silent[0]!)
    }
    if (silent.length < units.length) return baud
  }
  return yield* units.length > 1 && port.heardPushed()
    ? streamsUnknown(path, units.length)
    : noReply(path, first.name, first.unitId, bauds)
})

/** Whether a device is heard that sends readings by itself; a slow one does so once a second. */
const isStreaming = (port: Port) =>
  port.heardPushed()
    ? Effect.succeed(true)
    : Effect.map(Effect.sleep(STREAM_INTERVAL), () => port.heardPushed())

const STREAM_INTERVAL = "1 second"

/**
 * A program that died while a device streamed leaves it talking, and deaf to all but this. It does nothing to a device that does
 * not stream; but it gives the one that does the unit id in it, so among several it must be known which one that is: the only one
 * that does not answer.
 */
const stopStreaming = Effect.fnUntraced(function*(port: Port, { name, unitId }: Unit) {
  yield* Effect.logWarning(`${port.path}: ${name} (unit ${unitId}) was left streaming; it is stopped`)
  yield* Effect.ignore(port.tell(stopStreamingCommand(unitId)))
})

const streamsUnknown = (path: string, units: number) =>
  new SourceOpenError({
    target: path,
    reason: "Busy",
    detail:
      `a device on it streams, and of ${units} units it cannot be told which; stop it by sending \`@@\` and its unit id, `
      + "or switch it off and on"
  })

/**
 * @since 0.1.0
 * @category errors
 */
export const noReply = (path: string, name: string, unitId: string, bauds: ReadonlyArray<number>) =>
  new SourceOpenError({
    target: path,
    reason: "NoReply",
    detail: bauds.length === 0
      ? `${name} (unit ${unitId}) did not answer; check its power, the cable, the unit id and the serial server's baud rate`
      : `${name} (unit ${unitId}) did not answer at ${
        bauds.join(" or ")
      } baud; check its power, the cable, the unit id and the baud rate`
  })

/**
 * A device that was found, and how to poll it.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenDevice {
  readonly device: Device
  readonly port: Port
  readonly layout: FrameLayout
}

/**
 * Asks a device for its frame format, and who it is.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openDevice = Effect.fnUntraced(function*(
  port: Port,
  { name, unitId }: Unit,
  baud: number | null
): Effect.fn.Return<OpenDevice, SourceOpenError> {
  const layout = yield* port.askTable(frameTableCommand(unitId), (lines) => decodeFrameTable(lines, unitId)).pipe(
    Effect.retry({ times: 1 }),
    Effect.mapError((error) =>
      error._tag === "NoReply" ? noReply(port.path, name, unitId, baud === null ? [] : [baud]) : new SourceOpenError({
        target: port.path,
        reason: "Unknown",
        detail: `${name} (unit ${unitId}) did not tell its frame format: ${error.message}`,
        cause: error
      })
    )
  )
  const identity = yield* identify(port, unitId)
  return { device: { name, unitId, identity, format: layout.format }, port, layout }
})

/** What the device says of itself; it may be silent on either question. */
const identify = Effect.fnUntraced(function*(port: Port, unitId: string): Effect.fn.Return<DeviceIdentity | null> {
  const firmware = yield* port.askLine(firmwareCommand(unitId), (line) => decodeFirmware(line, unitId)).pipe(
    Effect.map((reply) => reply.value),
    Effect.orElseSucceed(() => null)
  )
  const made = yield* port.askTable(manufacturingCommand(unitId), (lines) => decodeManufacturing(lines, unitId)).pipe(
    Effect.retry({ times: 1 }),
    Effect.orElseSucceed(() => null)
  )
  port.fenceBy(unitId, made === null ? frameTableCommand(unitId) : manufacturingCommand(unitId))
  if (firmware === null && made === null) return null
  return {
    manufacturer: made?.manufacturer ?? null,
    model: made?.model ?? null,
    serialNumber: made?.serialNumber ?? null,
    firmware: firmware ?? made?.firmware ?? null,
    calibrationDate: made?.calibrationDate ?? null
  }
})
