/**
 * What the numbers of a run mean: the identity of each device, and the unit of each of its columns. A unit belongs to a column of
 * one device, not to a column name. Every sink stores this beside its rows, in the form that its readers expect.
 */
import {
  type Column,
  describeDevice,
  type Device,
  deviceToRow,
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

/** A device with its columns in place of its fields. There are none if its format is not known yet. */
interface DescribedDevice extends Omit<ReturnType<typeof deviceToRow>, "fields"> {
  readonly columns: ReadonlyArray<DescribedColumn>
}

/** The devices of a run, as far as a first batch shows them. With a lock, columns have the names that the lock gave them. */
export const describeDevices = (
  batch: ReadonlyArray<Sample>,
  lock: SchemaLock | undefined
): ReadonlyArray<DescribedDevice> =>
  devicesOf(batch).map((device) => {
    const format = device.format ?? batch.find((sample) => sample.device === device.name)?.frame.format
    const { fields: _, ...described } = deviceToRow(describeDevice(device))
    const columns = format === undefined ? [] : lock?.fields(format) ?? fieldColumns(format)
    return {
      ...described,
      columns: columns.map(({ column, field: { statistic, unit } }) => ({ column, unit, statistic }))
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
export type UnitsOfDevice = Pick<DescribedDevice, "device"> & {
  readonly columns: ReadonlyArray<Pick<DescribedColumn, "column" | "unit">>
}

/** The unit of a column in each device that has one. A device of several runs may have several. */
const unitsByDevice = (
  name: string,
  devices: ReadonlyArray<UnitsOfDevice>
): ReadonlyArray<readonly [device: string, unit: string]> =>
  devices.flatMap(({ columns, device }) =>
    columns.flatMap(({ column, unit }) => column === name && unit !== null ? [[device, unit] as const] : [])
  )

/** The unit of a column, for people. If its devices differ, the units of each. Empty if none has one. */
export const unitsOf = (name: string, devices: ReadonlyArray<UnitsOfDevice>): string => {
  const units = unitsByDevice(name, devices)
  const [unit = "", ...others] = new Set(units.map(([, unit]) => unit))
  if (others.length === 0) return unit
  return [...new Set(units.map(([device, unit]) => `${device}: ${unit}`))].join(", ")
}

/** The unit of each column that has one, for programs. If its devices differ, a JSON object with the unit of each. */
export const unitsByColumn = (
  columns: ReadonlyArray<Column>,
  devices: ReadonlyArray<DescribedDevice>
): { readonly [column: string]: string } =>
  Object.fromEntries(columns.flatMap(({ name }) => {
    const units = unitsByDevice(name, devices)
    const [unit, ...others] = new Set(units.map(([, unit]) => unit))
    if (unit === undefined) return []
    return [[name, others.length === 0 ? unit : JSON.stringify(Object.fromEntries(units))]]
  }))

/** A run and its devices as a JSON value. */
export const runJson = (batch: ReadonlyArray<Sample>, devices: ReadonlyArray<DescribedDevice>) => ({
  run_id: batch[0]!.run.id,
  started_at: formatTimestamp(batch[0]!.run.startedAt),
  devices: devices.map(({ columns, ...device }) => ({
    ...device,
    columns: Object.fromEntries(columns.map(({ column, statistic, unit }) => [column, { unit, statistic }]))
  }))
})
