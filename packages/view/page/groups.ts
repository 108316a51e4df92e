/**
 * Which series are drawn together: those with the same unit, or without a unit those of the same field. And how they are told apart:
 * a device has a colour and a number, a field has dashes. Pure.
 */
import type { Series, View } from "./api.ts"

export interface Group {
  /** The unit, or the field of series without a unit. */
  readonly key: string
  readonly title: string
  readonly unit: string | null
  readonly lines: ReadonlyArray<Line>
}

export interface Line extends Series {
  /** Of the device, from 1 on. It stands in the legend and at the end of the line. */
  readonly number: number
  readonly label: string
  /** A place in the palette. */
  readonly colour: number
  readonly dash: ReadonlyArray<number>
}

export const COLOURS = 10
const DASHES: ReadonlyArray<ReadonlyArray<number>> = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 4], [5, 2, 2, 2, 2, 2]]
/** More plots than these are not shown until they are chosen. */
const MOST_PLOTS = 6
const FIRST = [/mass.?flow/i, /press/i, /flow/i, /temp/i]

/** Mass flow, pressure, other flows and temperature come first. */
export const groupsOf = ({ devices, series }: Pick<View, "devices" | "series">): ReadonlyArray<Group> => {
  const names = [...new Set([...devices.map(({ name }) => name), ...series.map(({ device }) => device)])]
  const groups = Map.groupBy(series, ({ field, unit }) => unit ?? field)
  return [...groups].map(([key, members]): Group => {
    const fields = [...new Set(members.map(({ field }) => field))]
    return {
      key,
      title: fields.join(", "),
      unit: members[0]!.unit,
      lines: members.map((one) => {
        const device = names.indexOf(one.device)
        return {
          ...one,
          number: device + 1,
          label: fields.length === 1 ? one.device : `${one.device} ${one.field}`,
          colour: device % COLOURS,
          dash: DASHES[(fields.indexOf(one.field) + Math.floor(device / COLOURS)) % DASHES.length]!
        }
      })
    }
  }).toSorted((a, b) => rankOf(a) - rankOf(b))
}

const rankOf = ({ title }: Group): number => {
  const rank = FIRST.findIndex((name) => name.test(title))
  return rank < 0 ? FIRST.length : rank
}

export const titleOf = ({ title, unit }: Group): string => unit === null ? title : `${title} (${unit})`

/** The fields that are shown as long as nobody has chosen others. */
export const firstFields = (groups: ReadonlyArray<Group>): ReadonlyArray<string> => [
  ...new Set(groups.slice(0, MOST_PLOTS).flatMap(({ lines }) => lines.map(({ field }) => field)))
]
