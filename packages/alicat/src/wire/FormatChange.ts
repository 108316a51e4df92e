/**
 * What has changed between two frame formats of one device. Units and columns can be changed at the panel, or by a command.
 */
import type { FrameField, FrameFormat } from "@sampleline/core"

/** The changes in words; null if there are none. */
export const formatChange = (before: FrameFormat, now: FrameFormat): string | null => {
  const changes = [
    ...before.fields.filter((field) => find(now, field) === undefined).map(({ name }) => `${name} is gone`),
    ...now.fields.flatMap((field) => {
      const old = find(before, field)
      return old === undefined ? `${field.name} is new` : fieldChange(old, field) ?? []
    })
  ]
  if (changes.length > 0) return changes.join(", ")
  return before.fields.every(({ name }, at) => now.fields[at]?.name === name) ? null : "they are in another order"
}

const find = ({ fields }: FrameFormat, { name }: FrameField): FrameField | undefined =>
  fields.find((field) => field.name === name)

const fieldChange = (before: FrameField, now: FrameField): string | null => {
  if (before.unit !== now.unit) {
    return `${now.name} is in ${now.unit ?? "no unit"} instead of ${before.unit ?? "no unit"}`
  }
  return before.kind === now.kind && before.statistic === now.statistic && before.conditional === now.conditional
    ? null
    : `${now.name} is of another kind`
}
