/**
 * What the numbers of a run mean: the identity of each device, and the unit of each of its columns. A unit belongs to a column of
 * one device, not to a column name. Every sink stores this beside its rows, in the form that its readers expect.
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
  /** The label that the device gives, or null. */
  readonly unit: string | null
  /** The vendor's code for the statistic, or null. */
  readonly statistic: number | null
}

interface DescribedDevice {
  readonly name: string
  readonly unitId: string
  readonly identity: DeviceIdentity | null
  /** Empty if the device's format is not known yet. */
  readonly columns: ReadonlyArray<DescribedColumn>
}

/** The devices of a run, as far as a first batch shows them. With a lock, columns have the names that the lock gave them. */
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

/** The run's devices. Samples that a program made itself may have a run without devices: then those of the batch. */
const devicesOf = (batch: ReadonlyArray<Sample>): ReadonlyArray<Device> => {
  const { devices } = batch[0]!.run
  if (devices.length > 0) return devices
  const byName = new Map(batch.map(({ device, frame, unitId }): [string, Device] => [
    device,
    { name: device, unitId, identity: null, format: frame.format }
  ]))
  return [...byName.values()]
}

/** The units of a device's columns. */
export interface UnitsOfDevice {
  readonly name: string
  readonly columns: ReadonlyArray<Pick<DescribedColumn, "column" | "unit">>
}

/** The unit of a column. If its devices differ, the units of each. */
export const unitsOf = (name: string, devices: ReadonlyArray<UnitsOfDevice>): string => {
  const units = devices.flatMap((device) =>
    device.columns
      .filter(({ column, unit }) => column === name && unit !== null)
      .map(({ unit }) => ({ device: device.name, unit }))
  )
  const distinct = new Set(units.map(({ unit }) => unit))
  if (distinct.size === 1) return units[0]!.unit!
  return [...new Set(units.map(({ device, unit }) => `${device}: ${unit}`))].join(", ")
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
