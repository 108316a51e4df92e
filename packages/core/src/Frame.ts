/**
 * What a device says in one reading: named fields (the format, shared by all its frames) and values by position.
 */

/**
 * A field's value: `null` where the device said "absent", `undefined` where a conditional field was not sent.
 *
 * @since 0.1.0
 * @category models
 */
export type FrameValue = number | string | null | undefined

/**
 * @since 0.1.0
 * @category models
 */
export type FieldKind = "float" | "int" | "text"

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
  /** Whether the device may leave the field out of a frame. */
  readonly conditional: boolean
}

/**
 * A reading as a plain object, the form in which a source of one's own gives it.
 *
 * @since 0.1.0
 * @category models
 */
export type FrameRecord = { readonly [field: string]: FrameValue }

/**
 * The ordered fields of a device's frames. One object is shared by all of them: the plans for making rows are cached by it.
 *
 * @since 0.1.0
 * @category models
 */
export class FrameFormat {
  readonly fields: ReadonlyArray<FrameField>
  /** The names as they were given, by which `frame` finds values; a field's own name may have had to differ. */
  readonly keys: ReadonlyArray<string>
  private positions: ReadonlyMap<string, number> | undefined

  private constructor(fields: ReadonlyArray<FrameField>, keys: ReadonlyArray<string>) {
    this.fields = fields
    this.keys = keys
  }

  /**
   * A format of the given fields. Anything but the name may be left out: kind `float`, no unit, no code, not conditional.
   * A name that stands there twice gets `_2`, `_3` and so on behind it; an empty one becomes `field`.
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
   * The format of a plain object: a number is a float, and so is a null unless its kind is given; a text is text.
   *
   * @example
   * FrameFormat.fromRecord({ Temperature: 21.5, Door: "closed" }, { units: { Temperature: "°C" } })
   */
  static fromRecord(record: FrameRecord, options?: {
    /** Kinds that the values alone do not tell, e.g. `{ Count: "int" }`. */
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

  /** This format with a field more for each key that it does not know; itself where it knows them all. */
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

  /** The frame that a plain object makes in this format, by names; a field it does not have is `undefined`. */
  frame(record: FrameRecord, status: ReadonlyArray<string> = []): Frame {
    return makeFrame(this, this.keys.map((key) => own(record, key)), status)
  }
}

const kindOf = (value: FrameValue): FieldKind => typeof value === "string" ? "text" : "float"

const own = <A>(record: { readonly [name: string]: A } | undefined, name: string): A | undefined =>
  record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined

/**
 * `name`, or the first of `name_2`, `name_3` and so on, that is not taken. Adds it to `taken`. `key` maps a name to what
 * must differ, e.g. its lower-case form.
 *
 * @internal
 */
export const distinct = (name: string, taken: Set<string>, key: (name: string) => string = (name) => name): string => {
  let candidate = name
  for (let n = 2; taken.has(key(candidate)); n++) candidate = `${name}_${n}`
  taken.add(key(candidate))
  return candidate
}

/**
 * One reading: values in the order of the format's fields, and the device's status codes, sorted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Frame {
  readonly format: FrameFormat
  readonly values: ReadonlyArray<FrameValue>
  readonly status: ReadonlyArray<string>
}

/**
 * A frame; sorts the status codes and drops repeated ones.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeFrame = (
  format: FrameFormat,
  values: ReadonlyArray<FrameValue>,
  status: ReadonlyArray<string> = []
): Frame => ({ format, values, status: status.length < 2 ? status : [...new Set(status)].toSorted() })
