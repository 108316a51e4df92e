/**
 * Which devices on a port have a reply outstanding, so that a late reply is never taken for the reply to the next request.
 *
 * A poll reply carries no request number, but a device answers in order. To resynchronise, a device with an outstanding
 * reply is asked for a table. Everything that comes before the table is thrown away. A device without tables rejects the request,
 * which counts as a table.
 *
 * Tables can be late too, and several may have been requested:
 * - A reading was heard: the device is slow, not off. It will answer every request, so every table must have come.
 * - A table is the first thing heard: the device was off. The older requests are lost, and one table is enough.
 */

interface Outstanding {
  tablesRequested: number
  tablesReceived: number
  /** A reading was heard: every request will be answered. */
  isSlow: boolean
  heardAtNanos: number
}

export class OutstandingReplies {
  private readonly byUnit = new Map<string, Outstanding>()
  private readonly silenceNanos: number

  /** A device that was silent for `silenceNanos` no longer answers earlier requests. */
  constructor(silenceNanos: number) {
    this.silenceNanos = silenceNanos
  }

  has(unit: string): boolean {
    return this.byUnit.has(unit)
  }

  /** A request was sent to the unit. */
  requested(unit: string, atNanos: number): void {
    if (this.byUnit.has(unit)) return
    this.byUnit.set(unit, { tablesRequested: 0, tablesReceived: 0, isSlow: false, heardAtNanos: atNanos })
  }

  /** The unit has replied, or never will. */
  clear(unit: string): void {
    this.byUnit.delete(unit)
  }

  /** A line came, from any unit. */
  heard(text: string, atNanos: number): void {
    const outstanding = this.byUnit.get(text[0] ?? "")
    if (outstanding === undefined || text[1] !== " ") return
    outstanding.heardAtNanos = atNanos
    if (isTableHeader(text)) outstanding.tablesReceived++
    else if (!isTableRow(text)) outstanding.isSlow = true
  }

  /** The unit has rejected a request for a table. */
  rejectedTable(unit: string): void {
    const outstanding = this.byUnit.get(unit)
    if (outstanding !== undefined) outstanding.tablesReceived++
  }

  /** Whether the unit has sent nothing for so long that nothing more will come. */
  isQuiet(unit: string, nowNanos: number): boolean {
    const outstanding = this.byUnit.get(unit)
    return outstanding === undefined || nowNanos - outstanding.heardAtNanos > this.silenceNanos
  }

  /** Whether to request a table now; counts the request. If not, tables that were requested are still to come. */
  requestsTable(unit: string, nowNanos: number): boolean {
    const outstanding = this.byUnit.get(unit)
    if (outstanding === undefined) return false
    if (this.isQuiet(unit, nowNanos)) {
      Object.assign(outstanding, { tablesRequested: 0, tablesReceived: 0, isSlow: false })
    }
    if (outstanding.isSlow && outstanding.tablesReceived < outstanding.tablesRequested) return false
    outstanding.tablesRequested++
    return true
  }

  /** Whether nothing more can come after a table of this unit. */
  isResynchronised(unit: string): boolean {
    const outstanding = this.byUnit.get(unit)
    if (outstanding === undefined) return true
    const { isSlow, tablesReceived, tablesRequested } = outstanding
    return tablesReceived > 0 && (!isSlow || tablesReceived >= tablesRequested)
  }
}

/** A row of a frame or manufacturing table: `A D02 ...`, `A M4 ...`. It may be blank: `A M1`. */
export const isTableRow = (text: string): boolean => /^[A-Z]\s+[DM]\d{1,2}(?:\s|$)/.test(text)

const isTableHeader = (text: string): boolean => /^[A-Z]\s+(?:D00|M00?)\s/.test(text)
