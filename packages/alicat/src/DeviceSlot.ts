/**
 * The place of one device on a bus: which device the run records under its name, and whether that device can be polled now.
 *
 * A device is known by its serial number. Another device is never recorded under the same name. Nor is the same device while its
 * columns or units are not those of the run: outputs have fixed their columns, and units are written once.
 */
import {
  type Device,
  DeviceError,
  formatTimestamp,
  type FrameFormat,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { Result } from "effect"
import { MalformedInARow } from "./MalformedInARow.ts"
import type { AskedColumns, AskedTable, OpenDevice } from "./OpenDevice.ts"
import type { Unit } from "./Plan.ts"
import { formatChange } from "./wire/FormatChange.ts"
import { decodeManufacturing } from "./wire/Identity.ts"

export class DeviceSlot {
  readonly unit: Unit
  readonly malformed = new MalformedInARow()
  private readonly path: string
  /** The device that the run has under this name; null until it was found for the first time. */
  private known: Device | null = null
  /** The device to poll, or why there is none. */
  private current: OpenDevice | DeviceError
  /** The device that answered last on the open port, also if it is not the one of the run. */
  private last: OpenDevice | null = null
  /** The last tables of the device of the run: its columns as they were at the start, and who it is. */
  private columnsTable: AskedTable | null = null
  private identityTable: AskedTable | null = null
  /** The device whose last table had other columns, if that table is not believed yet. */
  private doubted: OpenDevice | null = null

  /** `path` is the port, as the user wrote it. */
  constructor(unit: Unit, path: string) {
    this.unit = unit
    this.path = path
    this.current = this.portClosedBecause("is missing")
  }

  /** The device to poll, or why there is none. */
  get found(): OpenDevice | DeviceError {
    return this.current
  }

  /** The device to poll; null if there is none. */
  get open(): OpenDevice | null {
    return this.current instanceof DeviceError ? null : this.current
  }

  get isMissing(): boolean {
    return this.open === null
  }

  /** The device that answers in this place but is not recorded: another one, or one with other columns. Null if there is none. */
  get changed(): OpenDevice | null {
    return this.current instanceof DeviceError ? this.last : null
  }

  /** The tables by which a changed device is seen to be as before. Null if that table is not needed, or was never sent. */
  get tablesAsBefore(): { readonly identity: AskedTable | null; readonly columns: AskedTable | null } {
    return { identity: serialOf(this.known) === null ? null : this.identityTable, columns: this.columnsTable }
  }

  /** Whether the last table had other columns. It may have been cut, so it is believed only when the next one differs too. */
  get hasDoubtfulColumns(): boolean {
    return this.doubted !== null && this.doubted === this.current
  }

  get wasFound(): boolean {
    return this.known !== null
  }

  /** What is known of the device. */
  get device(): Device {
    const { givenLayout, name, unitId } = this.unit
    return this.known ?? { name, unitId, identity: null, format: givenLayout?.format ?? null }
  }

  /** A device has answered in this place. */
  opened(now: OpenDevice): void {
    // A device that did not send its serial number before is known by it from now on. Its columns stay those of the run.
    if (serialOf(this.known) === null) this.known = { ...now.device, format: this.known?.format ?? now.device.format }
    this.last = now
    this.current = this.checked(this.known ?? now.device, now)
    if (this.open !== null) this.identityTable = now.identityTable ?? this.identityTable
  }

  /** Whether a device has the columns of the run. */
  hasSameColumns({ layout }: OpenDevice): boolean {
    return this.known?.format != null && formatChange(this.known.format, layout.format) === null
  }

  /** Adds to the failure of a changed device what its user can do. False if that was done before. */
  advise(advice: string): boolean {
    if (!(this.current instanceof DeviceError) || this.current.detail.endsWith(advice)) return false
    this.current = this.failure(this.current.reason, `${this.current.detail}. ${advice}`)
    return true
  }

  /** The port is open, but the device does not answer. */
  didNotAnswer(error: SourceOpenError): void {
    this.last = null
    this.current = this.failure("Timeout", error.message, error)
  }

  /** `why` completes a sentence about the port: `is missing`. */
  portClosed(why: string): void {
    this.last = null
    this.current = this.portClosedBecause(why)
  }

  portNotOpened(error: SourceOpenError | SourceDependencyError): void {
    this.last = null
    const isSilent = error._tag === "SourceOpenError" && error.reason === "NoReply"
    this.current = this.failure(isSilent ? "Timeout" : "Disconnected", error.message, error)
  }

  /** The device answers again. The table that it sent may show that another device has taken its place. */
  resynchronised(opened: OpenDevice, table: ReadonlyArray<Uint8Array>): void {
    if (this.current !== opened) return
    const identity = Result.getOrNull(decodeManufacturing(table, this.unit.unitId))
    const other = this.otherDevice(opened.device, { ...opened, device: { ...opened.device, identity } })
    if (other !== null) this.current = other
  }

  /** The device has sent its columns again. */
  columnsChecked(opened: OpenDevice, now: AskedColumns): void {
    if (this.current !== opened) return
    const { format } = opened.layout
    const changed = this.otherColumns(format, now)
    // Readings that make sense have all columns.
    const isCut = this.malformed.isNone && now.layout.format.fields.length < format.fields.length
    const isSecond = this.hasDoubtfulColumns
    this.doubted = null
    if (changed === null || isCut) return
    if (isSecond) this.current = changed
    else this.doubted = opened
  }

  /** The device, if it is the same as before. Without a serial number it is asked again later. */
  private checked(before: Device, now: OpenDevice): OpenDevice | DeviceError {
    const expected = serialOf(before)
    return expected !== null && serialOf(now.device) === null
      ? this.failure(
        "Timeout",
        `it has not sent its serial number since ${now.port.path} is back; expected ${expected}`
      )
      : this.otherDevice(before, now) ?? this.sameColumns(before, now)
  }

  /** The device with the format that the run has of it, or a failure if its columns are others. */
  private sameColumns({ format }: Device, now: OpenDevice): OpenDevice | DeviceError {
    if (format === null) return now
    return this.otherColumns(format, now) ?? { ...now, layout: { ...now.layout, format } }
  }

  /** A failure if the columns differ; null otherwise, and the time is noted. */
  private otherColumns(before: FrameFormat, { layout, table }: AskedColumns | OpenDevice): DeviceError | null {
    const change = formatChange(before, layout.format)
    if (change === null) {
      this.columnsTable = table ?? this.columnsTable
      return null
    }
    const when = `at some time after ${formatTimestamp(this.columnsTable?.at ?? 0)}`
    return this.failure(
      "DeviceChanged",
      `its columns have changed ${when}: ${change}. It is not recorded until they are as before: set them back, or start again`
    )
  }

  /** A failure if both have a serial number and they differ; null otherwise. */
  private otherDevice(before: Device, { device, port }: OpenDevice): DeviceError | null {
    const [expected, found] = [serialOf(before), serialOf(device)]
    return expected === null || found === null || expected === found ? null : this.failure(
      "DeviceChanged",
      `another device is on ${port.path} now: serial number ${found} instead of ${expected}; plug in the right one`
    )
  }

  private portClosedBecause(why: string): DeviceError {
    return this.failure("Disconnected", `the port ${this.path} ${why}`)
  }

  private failure(reason: DeviceError["reason"], detail: string, cause?: SourceOpenError | SourceDependencyError) {
    return new DeviceError({ device: this.unit.name, reason, detail, ...(cause === undefined ? {} : { cause }) })
  }
}

const serialOf = (device: Device | null): string | null => device?.identity?.serialNumber ?? null
