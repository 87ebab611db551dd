/** A line on a terminal's standard error that counts up; nothing where it is no terminal. */
export interface Progress {
  step(): void
  /** Removes the line. */
  end(): void
}

const EVERY_MS = 100
const WIDTH = 30

export function openProgress(total: number): Progress {
  const { stderr } = process
  let done = 0
  let shownAt = 0
  let isShown = false

  function show(): void {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const bar = '#'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '.')
    stderr.write(`\r[${bar}] ${Math.floor(share * 100)} %  ${done} of about ${total}`)
    isShown = true
  }

  return {
    step() {
      done++
      const now = performance.now()
      if (!stderr.isTTY || now - shownAt < EVERY_MS) return
      shownAt = now
      show()
    },
    end() {
      if (isShown) stderr.write('\r\x1b[K')
      isShown = false
    },
  }
}
