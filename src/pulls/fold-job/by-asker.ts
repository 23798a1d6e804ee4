/** Who asks in which repository of one registry. */
export type Asker = { repository: string; origin: string }

/** Values by repository and origin: looking up two texts that are there takes less than making one of both. */
export type ByAsker<Value> = {
  get: (asker: Asker) => Value | undefined
  set: (asker: Asker, value: Value) => void
  values: () => Value[]
  size: () => number
}

export const createByAsker = <Value>(): ByAsker<Value> => {
  const repositories = new Map<string, Map<string, Value>>()
  let size = 0
  return {
    get: ({ repository, origin }) => repositories.get(repository)?.get(origin),
    set: ({ repository, origin }, value) => {
      let values = repositories.get(repository)
      if (!values) repositories.set(repository, (values = new Map<string, Value>()))
      if (!values.has(origin)) size++
      values.set(origin, value)
    },
    values: () => [...repositories.values()].flatMap((values) => [...values.values()]),
    size: () => size,
  }
}
