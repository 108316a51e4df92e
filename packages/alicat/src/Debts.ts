/**
 * Who on a port still owes a reply, so that a late one is never taken for the next one's.
 *
 * A poll reply carries no number, but devices answer in order. So a device that owes one is asked for a table, its fence, and
 * what comes before the table is thrown away. Fences can be late too: where a reading was heard meanwhile the device is slow, not
 * off, and the debt is paid only when every fence was answered. Where the first thing heard is a table, what was asked before is
 * lost, and with it the older fences.
 */

interface Debt {
  fences: number
  tables: number
  /** A reading was heard: whatever was asked will be answered. */
  isSlow: boolean
  heardAtNanos: number
}

/**
 * @since 0.1.0
 * @category models
 */
export class Debts {
  private readonly debts = new Map<string, Debt>()
  private readonly patienceNanos: number

  /** A device that was not heard for `patienceNanos` will not answer what it was asked before. */
  constructor(patienceNanos: number) {
    this.patienceNanos = patienceNanos
  }

  has(unit: string): boolean {
    return this.debts.has(unit)
  }

  /** The unit was asked something. */
  asked(unit: string, atNanos: number): void {
    if (!this.debts.has(unit)) this.debts.set(unit, { fences: 0, tables: 0, isSlow: false, heardAtNanos: atNanos })
  }

  /** The unit has answered, or never will. */
  paid(unit: string): void {
    this.debts.delete(unit)
  }

  /** A line came, from whomever. */
  heard(text: string, atNanos: number): void {
    const debt = this.debts.get(text[0] ?? "")
    if (debt === undefined || text[1] !== " ") return
    debt.heardAtNanos = atNanos
    if (isTableHeader(text)) debt.tables++
    else if (!isTableRow(text)) debt.isSlow = true
  }

  /** Whether to send a fence now; otherwise those that were sent are still to come. Counts it. */
  sendsFence(unit: string, nowNanos: number): boolean {
    const debt = this.debts.get(unit)
    if (debt === undefined) return false
    if (nowNanos - debt.heardAtNanos > this.patienceNanos) Object.assign(debt, { fences: 0, tables: 0, isSlow: false })
    if (debt.isSlow && debt.tables < debt.fences) return false
    debt.fences++
    return true
  }

  /** Whether, after a table of this unit, nothing can come any more. */
  isSettled(unit: string): boolean {
    const debt = this.debts.get(unit)
    return debt === undefined || (debt.tables > 0 && (!debt.isSlow || debt.tables >= debt.fences))
  }
}

/**
 * A row of a frame or manufacturing table: `A D02 ...`, `A M4 ...`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTableRow = (text: string): boolean => /^[A-Z]\s+[DM]\d{1,2}\s/.test(text)

const isTableHeader = (text: string): boolean => /^[A-Z]\s+(?:D00|M00?)\s/.test(text)
