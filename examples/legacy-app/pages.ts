import type { SessionView } from './session.ts'

export interface User {
  readonly id: string
  readonly name: string
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5a6478; --paper: #f6f7fb; --card: #fff; --line: #dfe3ec; --accent: #2f5bd7; --on-accent: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebf3; --soft: #a3acc0; --paper: #12151d; --card: #1b202c; --line: #323a4d; --accent: #8fadff; --on-accent: #10131b }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif }
.skip { position: absolute; left: -99rem } .skip:focus { left: 1rem; top: 1rem }
header, main, footer { max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem }
header { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1.5rem; padding-top: 1.75rem }
header p { margin: 0; color: var(--soft) }
header form { display: inline-flex; align-items: center; gap: .75rem }
main { display: flex; flex-wrap: wrap; gap: 1.25rem }
section { flex: 1 1 17rem; min-width: 0; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem 1.4rem }
section.wide { flex-basis: 100% }
h1 { font-size: 1.25rem; margin: 0 }
h2 { font-size: 1.1rem; line-height: 1.3; margin: 0 0 .75rem }
.count { font-size: 3rem; font-weight: 650; line-height: 1.1; margin: 0 0 .75rem; font-variant-numeric: tabular-nums }
label { display: block; font-weight: 600; margin-bottom: .3rem }
.row { display: flex; gap: .5rem }
input[type=text] { flex: 1; min-width: 0; font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft); border-radius: .5rem; padding: .5rem .7rem }
.check { display: flex; gap: .5rem; align-items: center; font-weight: 400; margin: .75rem 0 0 }
button { font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent); border: 1px solid var(--accent); border-radius: .5rem; padding: .5rem 1rem; cursor: pointer }
button.plain { color: var(--ink); background: transparent; border-color: var(--soft); padding: .25rem .7rem; font-weight: 500 }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
ul { list-style: none; margin: 1rem 0 0; padding: 0 }
li { display: flex; align-items: center; justify-content: space-between; gap: 1rem; padding: .45rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere }
.note { color: var(--soft); margin: .75rem 0 0 } .error { color: #b3261e; font-weight: 600; margin: 0 0 .75rem }
@media (prefers-color-scheme: dark) { .error { color: #ff9d95 } }
code, pre { overflow-wrap: anywhere }
pre { margin: 0; padding: .9rem 1rem; background: var(--paper); border: 1px solid var(--line); border-radius: .5rem; overflow: auto; font-size: .9rem }
footer { color: var(--soft); padding-bottom: 2.5rem }
`

/** The whole app on one page: who you are, a counter, a shopping list, and the session as the app sees it. */
export function homePage(session: SessionView, error?: string): string {
  const user = userOf(session)
  return layout(user ? `Signed in as ${user.name}` : 'Welcome', accountBar(user), `
    ${user ? '' : signInCard(error)}
    <section aria-labelledby="counter"><h2 id="counter">Counter</h2>
      <p class="count" id="count">${countOf(session)}</p>
      <form method="post" action="/count"><button>Count</button></form>
      <p class="note">The cookie appears with the first count: nothing is stored for a visitor who only looks.</p>
    </section>
    <section aria-labelledby="shopping"><h2 id="shopping">Shopping list</h2>
      ${user && error ? `<p class="error" role="alert">${escapeHtml(error)}</p>` : ''}
      <form method="post" action="/list/add"><label for="item">New item</label>
        <div class="row"><input type="text" id="item" name="item" required maxlength="80" autocomplete="off"><button>Add</button></div></form>
      ${listOf(session)}
    </section>
    <section class="wide" aria-labelledby="seen"><h2 id="seen">The session as this app sees it</h2>
      <pre id="data" tabindex="0">${escapeHtml(JSON.stringify(session.data, null, 2))}</pre>
      <p class="note">${session.new ? 'Nothing is stored yet, and your browser has no cookie.' : `Public handle <code>${escapeHtml(String(session.sid))}</code>. Your browser holds an opaque cookie; neither this handle nor the data is in it.`}</p>
    </section>`)
}

/** What a visitor gets who found the app's own port. */
export function bypassedPage(): string {
  return layout('Not this way', '', `<section class="wide"><h2>Please come in through the gateway</h2>
    <p>This request carries no valid session assertion, so it did not come through sessiongate. The app trusts nothing else.</p></section>`)
}

export function notFoundPage(): string {
  return layout('Not found', '', '<section class="wide"><h2>There is no such page</h2><p><a href="/">Back to the start</a></p></section>')
}

/** The signed-in user, or undefined. */
export function userOf(session: SessionView): User | undefined {
  const user = session.data.user as Partial<User> | undefined
  return typeof user?.name === 'string' && typeof user.id === 'string' ? { id: user.id, name: user.name } : undefined
}

export function countOf(session: SessionView): number {
  return typeof session.data.count === 'number' ? session.data.count : 0
}

/** The items by id, oldest first: ids start with the time they were made at. */
export function itemsOf(session: SessionView): [string, string][] {
  const items = Object.entries((session.data.list ?? {}) as Record<string, string>)
  return items.sort(([a], [b]) => (a < b ? -1 : 1))
}

function signInCard(error: string | undefined): string {
  return `<section aria-labelledby="sign-in"><h2 id="sign-in">Sign in</h2>
    ${error ? `<p class="error" role="alert">${escapeHtml(error)}</p>` : ''}
    <form method="post" action="/login"><label for="name">Your name</label>
      <div class="row"><input type="text" id="name" name="name" required maxlength="40" autocomplete="username"><button>Sign in</button></div>
      <label class="check"><input type="checkbox" name="remember" value="1"> Keep me signed in when I close the browser</label></form>
  </section>`
}

function accountBar(user: User | undefined): string {
  if (!user) return '<p>Nobody is signed in</p>'
  return `<form method="post" action="/logout"><span id="who">Signed in as <b>${escapeHtml(user.name)}</b></span> <button class="plain">Sign out</button></form>`
}

function listOf(session: SessionView): string {
  const items = itemsOf(session)
  if (items.length === 0) return '<p class="note">The list is empty.</p>'
  return `<ul id="items">${items.map(([id, text]) => `<li><span>${escapeHtml(text)}</span>
    <form method="post" action="/list/remove"><input type="hidden" name="id" value="${escapeHtml(id)}">
    <button class="plain" aria-label="Remove ${escapeHtml(text)}">Remove</button></form></li>`).join('')}</ul>`
}

function layout(title: string, account: string, main: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} - Legacy shop</title><link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body><a class="skip" href="#main">Skip to the content</a>
<header><h1>Legacy shop</h1>${account}</header><main id="main">${main}</main>
<footer>A plain node:http app without a session store. Its session comes from sessiongate with every request.</footer></body></html>`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
