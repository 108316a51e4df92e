/**
 * A device that was found on a port: its frame format, and who it is.
 */
import { type Device, type DeviceIdentity, type Frame, SourceOpenError } from "@sampleline/core"
import { Effect, type Option, Result } from "effect"
import type { Unit } from "./Plan.ts"
import type { Port, Reply, TableTimes } from "./Port.ts"
import type { RequestError } from "./RequestError.ts"
import { decodeFrameTable, type FrameLayout, frameTableCommand } from "./wire/FrameTable.ts"
import { decodeFirmware, decodeManufacturing, firmwareCommand, manufacturingCommand } from "./wire/Identity.ts"
import { decodePollLine, decodeUnit, pollCommand } from "./wire/PollLine.ts"
import { quoteBytes } from "./wire/WireError.ts"

export interface OpenDevice {
  readonly device: Device
  readonly port: Port
  readonly layout: FrameLayout
  readonly table: AskedTable
}

/** A frame table as it came: how many rows, when, and how long after the command. */
interface AskedTable extends TableTimes {
  readonly rows: number
}

export interface AskedColumns {
  readonly layout: FrameLayout
  readonly table: AskedTable
}

/** Whether a device answers a poll. */
export const answers = (port: Port, { unitId }: Pick<Unit, "unitId">): Effect.Effect<boolean> =>
  Effect.isSuccess(port.askLine(pollCommand(unitId), (line) => decodeUnit(line, unitId)))

/** Polls a device once. */
export const askReading = (
  { device: { unitId }, layout, port }: OpenDevice
): Effect.Effect<Reply<Frame>, RequestError> =>
  port.askLine(pollCommand(unitId), (line) => decodePollLine(line, unitId, layout))

/** Asks a device for its columns. */
export const askColumns = (port: Port, unitId: string): Effect.Effect<AskedColumns, RequestError> =>
  port.askTable(frameTableCommand(unitId), decodeTable(unitId))

/** Asks a device for its columns again. Gives up at the deadline, or if the port is not free: none then. */
export const askColumnsUntil = (
  deadlineNanos: number,
  { device: { unitId }, port, table }: OpenDevice
): Effect.Effect<Option.Option<AskedColumns>, RequestError> =>
  port.askTableUntil(deadlineNanos, frameTableCommand(unitId), table.rows, decodeTable(unitId))

const decodeTable = (unitId: string) => (lines: ReadonlyArray<Uint8Array>, times: TableTimes) =>
  Result.map(
    decodeFrameTable(lines, unitId),
    (layout): AskedColumns => ({ layout, table: { rows: lines.length, ...times } })
  )

/** Asks a device for its frame format and its identity. `baud` is named in the error; null for TCP. */
export const openDevice = Effect.fnUntraced(function*(
  port: Port,
  { name, unitId }: Unit,
  baud: number | null
): Effect.fn.Return<OpenDevice, SourceOpenError> {
  const columns = yield* askColumns(port, unitId).pipe(
    Effect.retry({ times: 1 }),
    Effect.mapError((error) =>
      error._tag === "NoReply"
        ? didNotAnswer(port, { name, unitId }, baud === null ? [] : [baud])
        : new SourceOpenError({
          target: port.path,
          reason: "Unknown",
          detail: `${name} (unit ${unitId}) did not send its frame format: ${error.message}`,
          cause: error
        })
    )
  )
  const identity = yield* identify(port, unitId)
  return { device: { name, unitId, identity, format: columns.layout.format }, port, ...columns }
})

/** The error for a device that does not answer at these baud rates; none for TCP. */
export const didNotAnswer = (port: Port, { name, unitId }: Unit, bauds: ReadonlyArray<number>): SourceOpenError => {
  const [at, rate] = bauds.length === 0
    ? ["", "the serial server's baud rate"]
    : [` at ${bauds.join(" or ")} baud`, "the baud rate"]
  return new SourceOpenError({
    target: port.path,
    reason: "NoReply",
    detail: `${name} (unit ${unitId}) did not answer${at}; ${adviceFor(port, rate)}`
  })
}

const adviceFor = ({ heardPushed, lastHeard }: Port, rate: string): string => {
  if (heardPushed) return "a device streams on the port and does not stop; check the unit id, or switch it off and on"
  return lastHeard === null
    ? `check its power, the cable, the unit id and ${rate}, and that no other program reads the port`
    : `${quoteBytes(lastHeard)} was heard instead; check that no other program reads the port, the unit id and ${rate}`
}

/** The identity of a device. A device may be silent on either question. */
const identify = Effect.fnUntraced(function*(port: Port, unitId: string): Effect.fn.Return<DeviceIdentity | null> {
  const firmware = yield* port.askLine(firmwareCommand(unitId), (line) => decodeFirmware(line, unitId)).pipe(
    Effect.map((reply) => reply.value),
    Effect.orElseSucceed(() => null)
  )
  const made = yield* port.askTable(manufacturingCommand(unitId), (lines) => decodeManufacturing(lines, unitId)).pipe(
    Effect.retry({ times: 1 }),
    Effect.orElseSucceed(() => null)
  )
  port.resynchroniseWith(unitId, made === null ? frameTableCommand(unitId) : manufacturingCommand(unitId))
  if (firmware === null && made === null) return null
  return {
    manufacturer: made?.manufacturer ?? null,
    model: made?.model ?? null,
    serialNumber: made?.serialNumber ?? null,
    firmware: firmware ?? made?.firmware ?? null,
    calibrationDate: made?.calibrationDate ?? null
  }
})
