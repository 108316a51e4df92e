/**
 * The identity of a device. `AVE` CR asks for the firmware and its build date. `A??M*` CR asks for a table of manufacturer, model,
 * serial number and dates.
 *
 *     A   10v20.0-R24 Jan  9 2025,15:04:07
 *
 *     A M04 Model Number MC-500SCCM-D
 *     A M05 Serial Number 521641
 *     A M07 Date Calibrated   03/02/2025
 *     A M09 Software Revision 10v20.0-R24
 *
 * Rows are recognised by their labels, because their numbers vary. Each row is read by itself: a row may be blank, or noise. A
 * device may not answer these commands.
 */
import type { DeviceIdentity } from "@sampleline/core"
import { Result } from "effect"
import { lineText } from "./Framing.ts"
import { MalformedReply } from "./WireError.ts"

export const firmwareCommand = (unitId: string): string => `${unitId}VE`

export const manufacturingCommand = (unitId: string): string => `${unitId}??M*`

/** The firmware in a reply to `VE`. */
export const decodeFirmware = (bytes: Uint8Array, unitId: string): Result.Result<string, MalformedReply> => {
  const malformed = () => Result.fail(new MalformedReply({ expected: `the firmware of unit ${unitId}`, bytes }))
  return Result.flatMap(lineText(bytes), (text) => {
    const [unit, firmware] = text.trim().split(/ +/)
    return unit === unitId && firmware !== undefined && /^\d+v\d/.test(firmware)
      ? Result.succeed(firmware)
      : malformed()
  })
}

const ROW = /^([A-Z])\s+M\d{1,2}(?:\s+(.*))?$/
const LABELS = {
  model: /^(?:Model Number|Mdl)[\s:]+(\S.*)$/,
  serialNumber: /^(?:Serial Number|Serial No\.)[\s:]+(\S.*)$/,
  calibrationDate: /^Date Calibrated[\s:]+(\S.*)$/,
  firmware: /^Software(?: Revision)?[\s:]+(\S.*)$/,
  manufacturer: /^(Alicat(?:\s.*)?)$/i
} satisfies { readonly [part in keyof DeviceIdentity]: RegExp }

/** The identity in the lines of a reply to `??M*`. A part that no row has is null. Fails if no line is a row. */
export const decodeManufacturing = (
  lines: ReadonlyArray<Uint8Array>,
  unitId: string
): Result.Result<DeviceIdentity, MalformedReply> => {
  const rows = lines.flatMap((bytes) => {
    const [, unit, row = ""] = ROW.exec(Result.getOrElse(lineText(bytes), () => "").trim()) ?? []
    return unit === unitId ? [row.trim()] : []
  })
  if (rows.length === 0) {
    const bytes = lines[0] ?? new Uint8Array()
    return Result.fail(new MalformedReply({ expected: `a row of the manufacturing table of unit ${unitId}`, bytes }))
  }
  const find = (label: RegExp): string | null =>
    rows.map((row) => label.exec(row)?.[1]).find((text) => text !== undefined) ?? null
  return Result.succeed({
    manufacturer: find(LABELS.manufacturer),
    model: find(LABELS.model),
    serialNumber: find(LABELS.serialNumber),
    firmware: find(LABELS.firmware),
    calibrationDate: isoDate(find(LABELS.calibrationDate))
  })
}

/** `MM/DD/YYYY` as `YYYY-MM-DD`, or null. */
const isoDate = (text: string | null): string | null => {
  const [, month, day, year] = /^(\d\d)\/(\d\d)\/(\d{4})$/.exec(text ?? "") ?? []
  return year === undefined ? null : `${year}-${month}-${day}`
}
