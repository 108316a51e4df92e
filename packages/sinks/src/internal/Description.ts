/**
 * What the numbers of a run mean: for each device who it is, and the unit of each of its columns. Units belong to a device's
 * column, not to a column's name. Every sink stores this beside its rows, in the form that its readers look for.
 */
import {
  type Device,
  type DeviceIdentity,
  fieldColumns,
  formatTimestamp,
  type Sample,
  type SchemaLock
} from "@sampleline/core"

interface DescribedColumn {
  readonly column: string
  /** The label as the device gives it, or null. */
  readonly unit: string | null
  /** The vendor's code of the statistic, or null. */
  readonly statistic: number | null
}

interface DescribedDevice {
  readonly name: string
  readonly unitId: string
  readonly identity: DeviceIdentity | null
  /** Empty where the device's format is not known yet. */
  readonly columns: ReadonlyArray<DescribedColumn>
}

/** The devices of a run as far as a first batch tells; with the lock, under the names that it gave to their columns. */
export const describeDevices = (
  batch: ReadonlyArray<Sample>,
  lock: SchemaLock | undefined
): ReadonlyArray<DescribedDevice> =>
  devicesOf(batch).map(({ format, identity, name, unitId }) => {
    const known = format ?? batch.find((sample) => sample.device === name)?.frame.format
    const fields = known === undefined ? [] : lock?.fields(known) ?? fieldColumns(known)
    return {
      name,
      unitId,
      identity,
      columns: fields.map(({ column, field: { statistic, unit } }) => ({ column, unit, statistic }))
    }
  })

/** The run's devices; for samples of a program's own making, which may name none, those of the batch. */
const devicesOf = (batch: ReadonlyArray<Sample>): ReadonlyArray<Device> => {
  const { devices } = batch[0]!.run
  if (devices.length > 0) return devices
  const byName = new Map(batch.map(({ device, frame, unitId }): [string, Device] => [
    device,
    { name: device, unitId, identity: null, format: frame.format }
  ]))
  return [...byName.values()]
}

/** A column's unit; where its devices differ, each with its own. */
export const unitsOf = (name: string, devices: ReadonlyArray<DescribedDevice>): string => {
  const units = devices.flatMap((device) =>
    device.columns
      .filter(({ column, unit }) => column === name && unit !== null)
      .map(({ unit }) => ({ device: device.name, unit }))
  )
  const distinct = new Set(units.map(({ unit }) => unit))
  return distinct.size === 1 ? units[0]!.unit! : units.map(({ device, unit }) => `${device}: ${unit}`).join(", ")
}

/** A run and its devices as a JSON value. */
export const runJson = (batch: ReadonlyArray<Sample>, devices: ReadonlyArray<DescribedDevice>) => ({
  run_id: batch[0]!.run.id,
  started_at: formatTimestamp(batch[0]!.run.startedAt),
  devices: devices.map(({ columns, identity, name, unitId }) => ({
    device: name,
    unit_id: unitId,
    manufacturer: identity?.manufacturer ?? null,
    model: identity?.model ?? null,
    serial_number: identity?.serialNumber ?? null,
    firmware: identity?.firmware ?? null,
    calibration_date: identity?.calibrationDate ?? null,
    columns: Object.fromEntries(columns.map(({ column, statistic, unit }) => [column, { unit, statistic }]))
  }))
})
