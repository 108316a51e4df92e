/**
 * A device as every output describes it: who it is, and what its fields are.
 */
import type { RunEvent } from "./RunEvent.ts"
import type { Device } from "./Sample.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type DeviceDescription = Extract<RunEvent, { readonly _tag: "RunStarted" }>["devices"][number]

/**
 * The description of a device. It has no fields if the device's format is not known.
 *
 * @since 0.1.0
 * @category conversions
 */
export const describeDevice = ({ format, identity, name, unitId }: Device): DeviceDescription => ({
  device: name,
  unitId,
  manufacturer: identity?.manufacturer ?? null,
  model: identity?.model ?? null,
  serialNumber: identity?.serialNumber ?? null,
  firmware: identity?.firmware ?? null,
  calibrationDate: identity?.calibrationDate ?? null,
  fields: format?.fields.map(({ kind, name, statistic, unit }) => ({ name, unit, statistic, kind })) ?? []
})

/**
 * A description under the names that outputs store it with.
 *
 * @since 0.1.0
 * @category conversions
 */
export const deviceToRow = ({ calibrationDate, fields, serialNumber, unitId, ...device }: DeviceDescription) => ({
  ...device,
  unit_id: unitId,
  serial_number: serialNumber,
  calibration_date: calibrationDate,
  fields
})
