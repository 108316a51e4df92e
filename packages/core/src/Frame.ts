/**
 * One reading of a device: a format, which is shared by all readings, and values by position.
 */

/**
 * A field's value. `null`: the device said that there is none. `undefined`: the device did not send this conditional field.
 *
 * @since 0.1.0
 * @category models
 */
export type FrameValue = number | string | null | undefined

/**
 * The type of a field's values. `unknown`: no value has shown it yet, so a value may be a number or a text.
 *
 * @since 0.1.0
 * @category models
 */
export type FieldKind = "float" | "int" | "text" | "unknown"

/**
 * @since 0.1.0
 * @category models
 */
export interface FrameField {
  /** The column's name, e.g. `Mass_Flow`. */
  readonly name: string
  readonly kind: FieldKind
  /** The unit's label as the device gives it, e.g. `SCCM`, or null. */
  readonly unit: string | null
  /** The vendor's code of the statistic, e.g. `5`, or null. */
  readonly statistic: number | null
  /** Whether the device may omit the field. */
  readonly conditional: boolean
}

/**
 * A reading as a plain object. A source of your own gives this.
 *
 * @since 0.1.0
 * @category models
 */
export type FrameRecord = { readonly [field: string]: FrameValue }

/**
 * The ordered fields of a device's frames. All its frames share one object: row plans are cached by it.
 *
 * @since 0.1.0
 * @category models
 */
export class FrameFormat {
  readonly fields: ReadonlyArray<FrameField>
  /** The names as given. `frame` finds values by them. A field's own name may differ, to be distinct. */
  readonly keys: ReadonlyArray<string>
  private positions: ReadonlyMap<string, number> | undefined

  private constructor(fields: ReadonlyArray<FrameField>, keys: ReadonlyArray<string>) {
    this.fields = fields
    this.keys = keys
  }

  /**
   * A format of these fields. Defaults: kind `float`, no unit, no statistic, not conditional. A repeated name gets the suffix
   * `_2`, `_3` and so on. An empty name becomes `field`.
   */
  static make(fields: ReadonlyArray<Partial<FrameField> & { readonly name: string }>): FrameFormat {
    const taken = new Set<string>()
    return new FrameFormat(
      fields.map((field) => ({
        kind: "float",
        unit: null,
        statistic: null,
        conditional: false,
        ...field,
        name: distinct(field.name === "" ? "field" : field.name.toWellFormed(), taken)
      })),
      fields.map((field) => field.name)
    )
  }

  /**
   * The format of a plain object. A number is a float, a text is text, and the kind of a null is unknown, unless `kinds` says
   * otherwise.
   *
   * @example
   * FrameFormat.fromRecord({ Temperature: 21.5, Door: "closed" }, { units: { Temperature: "°C" } })
   */
  static fromRecord(record: FrameRecord, options?: {
    /** Kinds that the values do not show, e.g. `{ Count: "int" }`. */
    readonly kinds?: { readonly [field: string]: FieldKind } | undefined
    readonly units?: { readonly [field: string]: string } | undefined
  }): FrameFormat {
    return FrameFormat.make(
      Object.keys(record).map((name) => ({
        name,
        kind: own(options?.kinds, name) ?? kindOf(record[name]),
        unit: own(options?.units, name) ?? null
      }))
    )
  }

  /** This format plus a field for each new key. The same object if there is no new key. */
  extended(record: FrameRecord): FrameFormat {
    const added = Object.keys(record).filter((key) => !this.keys.includes(key))
    if (added.length === 0) return this
    return FrameFormat.make([
      ...this.fields.map((field, at) => ({ ...field, name: this.keys[at]! })),
      ...added.map((name) => ({ name, kind: kindOf(record[name]) }))
    ])
  }

  /** The same fields with other units, kinds or codes. Names stay. */
  mapFields(change: (field: FrameField) => Omit<FrameField, "name">): FrameFormat {
    return new FrameFormat(this.fields.map((field) => ({ ...change(field), name: field.name })), this.keys)
  }

  /** Where a frame has the value of the field with this name, or -1. */
  positionOf(name: string): number {
    this.positions ??= new Map(this.fields.map((field, at) => [field.name, at]))
    return this.positions.get(name) ?? -1
  }

  /** The frame of a plain object in this format. A field that the object does not have is `undefined`. */
  frame(record: FrameRecord, status: ReadonlyArray<string> = []): Frame {
    return makeFrame(this, this.keys.map((key) => own(record, key)), status)
  }
}

const kindOf = (value: FrameValue): FieldKind =>
  typeof value === "string" ? "text" : typeof value === "number" ? "float" : "unknown"

const own = <A>(record: { readonly [name: string]: A } | undefined, name: string): A | undefined =>
  record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined

/**
 * The first of `name`, `name_2`, `name_3` and so on that is not taken. Adds it to `taken`. `key` gives the form in which names
 * must differ, e.g. lower case.
 */
export const distinct = (name: string, taken: Set<string>, key: (name: string) => string = (name) => name): string => {
  let candidate = name
  for (let n = 2; taken.has(key(candidate)); n++) candidate = `${name}_${n}`
  taken.add(key(candidate))
  return candidate
}

/**
 * A field of a reading that made no sense. Its value is null; the other fields are good.
 *
 * @since 0.1.0
 * @category models
 */
export interface FieldFailure {
  /** The field's name. */
  readonly field: string
  /** What came instead of a value. */
  readonly detail: string
}

/**
 * One reading: values in the order of the format's fields, and the sorted status codes of the device.
 *
 * @since 0.1.0
 * @category models
 */
export interface Frame {
  readonly format: FrameFormat
  readonly values: ReadonlyArray<FrameValue>
  readonly status: ReadonlyArray<string>
  /** Fields that made no sense. Default: none. */
  readonly fieldFailures?: ReadonlyArray<FieldFailure> | undefined
}

/**
 * A frame. Sorts the status codes and removes duplicates.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeFrame = (
  format: FrameFormat,
  values: ReadonlyArray<FrameValue>,
  status: ReadonlyArray<string> = [],
  fieldFailures?: ReadonlyArray<FieldFailure>
): Frame => ({
  format,
  values,
  status: status.length < 2 ? status : [...new Set(status)].toSorted(),
  fieldFailures
})
