/** Numbers for texts, from 0 on, in the order in which the texts occur first. */
export type Numbering = {
  numberOf: (text: string) => number
  textOf: (number: number) => string
  texts: readonly string[]
}

export const createNumbering = (): Numbering => {
  const numbers = new Map<string, number>()
  const texts: string[] = []
  return {
    texts,
    numberOf: (text) => {
      let number = numbers.get(text)
      if (number === undefined) {
        numbers.set(text, (number = texts.length))
        texts.push(text)
      }
      return number
    },
    textOf: (number) => texts[number] ?? '',
  }
}

/** Numbers for pairs of numbers, from 0 on, in the order in which the pairs occur first. */
export type PairNumbering = {
  numberOf: (first: number, second: number) => number
  firstOf: (number: number) => number
  secondOf: (number: number) => number
  count: () => number
}

const FIRST_ROOM = 1_024
const FREE = -1

/** A hash table with open addressing: a Map needs a key for each pair, and several times as long. */
export const createPairNumbering = (): PairNumbering => {
  let count = 0
  let [firsts, seconds] = [new Int32Array(FIRST_ROOM), new Int32Array(FIRST_ROOM)]
  let slots = new Int32Array(2 * FIRST_ROOM).fill(FREE)
  const slotOf = (first: number, second: number): number => {
    const mask = slots.length - 1
    let hash = Math.imul(first ^ Math.imul(second, 0x9e3779b1), 0x85ebca6b)
    hash ^= hash >>> 15
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot] ?? FREE
      if (number === FREE || (firsts[number] === first && seconds[number] === second)) return slot
    }
  }
  const grow = (): void => {
    const [oldFirsts, oldSeconds] = [firsts, seconds]
    firsts = new Int32Array(2 * count)
    seconds = new Int32Array(2 * count)
    firsts.set(oldFirsts)
    seconds.set(oldSeconds)
    slots = new Int32Array(4 * count).fill(FREE)
    for (let number = 0; number < count; number++) {
      slots[slotOf(firsts[number] ?? 0, seconds[number] ?? 0)] = number
    }
  }
  return {
    count: () => count,
    firstOf: (number) => firsts[number] ?? 0,
    secondOf: (number) => seconds[number] ?? 0,
    numberOf: (first, second) => {
      let slot = slotOf(first, second)
      const known = slots[slot] ?? FREE
      if (known !== FREE) return known
      if (count === firsts.length) {
        grow()
        slot = slotOf(first, second)
      }
      firsts[count] = first
      seconds[count] = second
      slots[slot] = count
      return count++
    },
  }
}
