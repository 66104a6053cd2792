// Comforts for pages that work without them: relative times, live pages, keys,
// copying, and the check of an inclusion proof.
(() => {
  'use strict';
  const $ = (sel, root = document) => root.querySelector(sel);
  const all = (sel, root = document) => [...root.querySelectorAll(sel)];
  document.documentElement.classList.add('scripted');

  // Relative times stand beside the UTC time, never in its place.
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: 'auto' });
  const units = [['year', 31557600], ['month', 2629800], ['day', 86400], ['hour', 3600], ['minute', 60]];
  const relative = (at, now) => {
    const s = (at - now) / 1000;
    for (const [unit, n] of units) if (Math.abs(s) >= n) return words.format(Math.round(s / n), unit);
    return words.format(0, 'second');
  };
  // How far the installation's clock is ahead of the browser's: what is past and
  // what lies ahead goes by the clock that made the page.
  const made = document.querySelector('.foot time');
  const ahead = made ? Date.parse(made.dateTime) - Date.now() : 0;

  const times = () => {
    const now = Date.now() + ahead;
    for (const t of all('time:not([data-still])')) {
      const at = Date.parse(t.getAttribute('datetime'));
      if (Number.isNaN(at)) continue;
      let rel = $('.rel', t);
      if (!rel) {
        rel = document.createElement('span');
        rel.className = 'rel';
        t.append(' ', rel);
        t.title = new Date(at).toLocaleString();
      }
      const text = `(${relative(at, now)})`;
      if (rel.textContent !== text) rel.textContent = text;
    }
  };

  // What is to be copied whole gets a button.
  const copies = () => {
    if (!navigator.clipboard) return;
    const copy = document.documentElement.lang === 'de' ? ['Kopieren', 'Kopiert'] : ['Copy', 'Copied'];
    for (const c of all('[data-copy]:not([data-ready])')) {
      c.dataset.ready = '';
      const b = document.createElement('button');
      b.type = 'button';
      b.className = 'button copy';
      b.textContent = copy[0];
      b.setAttribute('aria-label', copy[0] + ' ' + c.textContent.slice(0, 24));
      b.addEventListener('click', async () => {
        await navigator.clipboard.writeText(c.textContent);
        b.textContent = copy[1];
        say(copy[1]);
      });
      c.after(b);
    }
  };

  const say = (text) => {
    const out = $('#announce');
    if (out) out.textContent = text;
  };

  // A box of the plan lights up its lines.
  const plan = () => {
    for (const box of all('.box')) {
      const light = (on) => all(`.edge[data-from="${box.dataset.step}"], .edge[data-to="${box.dataset.step}"]`, box.ownerSVGElement).forEach((e) => e.classList.toggle('on', on));
      for (const e of ['mouseenter', 'focus']) box.addEventListener(e, () => light(true));
      for (const e of ['mouseleave', 'blur']) box.addEventListener(e, () => light(false));
      box.addEventListener('click', () => {
        const d = $(`#step-${box.dataset.step} details`);
        if (d) d.open = true;
      });
    }
  };
  // The first time, a long plan shows where it stands.
  const toNow = () => {
    const region = $('.plan'), now = $('.plan .box.info, .plan .box.bad, .plan .box.hold');
    if (!region || !now) return;
    const x = Number($('.face', now).getAttribute('x'));
    if (x > region.clientWidth - 220) region.scrollLeft = x - region.clientWidth / 2;
  };

  // A destructive form's button waits for the name; the server checks it anyway.
  const matches = () => {
    for (const f of all('[data-match]')) {
      f.addEventListener('input', () => f.setCustomValidity(f.value === f.dataset.match ? '' : 'Type ' + f.dataset.match));
      f.dispatchEvent(new Event('input'));
    }
  };

  // A bulk form says how many are chosen, and can choose all.
  const bulk = () => {
    for (const form of all('form[data-bulk]')) {
      const boxes = all('input[name=item]', form), legend = $('legend', form);
      if (!boxes.length || !legend) continue;
      const b = document.createElement('button');
      b.type = 'button';
      b.className = 'button';
      const count = () => {
        const n = boxes.filter((x) => x.checked).length;
        legend.textContent = `Answer for those that are ticked: ${n} of ${boxes.length}`;
        b.textContent = n === boxes.length ? 'Untick all' : 'Tick all';
      };
      b.addEventListener('click', () => {
        const on = !boxes.every((x) => x.checked);
        boxes.forEach((x) => { x.checked = on; });
        count();
      });
      form.addEventListener('change', count);
      legend.after(b);
      count();
    }
  };

  // RFC 6962 §2.1: a leaf is hashed after 0x00, a node after 0x01. The walk up is
  // that of RFC 9162 §2.1.3.2.
  const bytes = (b64) => Uint8Array.from(atob(b64), (c) => c.charCodeAt(0));
  const text = (b) => btoa(String.fromCharCode(...b));
  const join = (...parts) => {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    parts.reduce((at, p) => (out.set(p, at), at + p.length), 0);
    return out;
  };
  const sha256 = async (b) => new Uint8Array(await crypto.subtle.digest('SHA-256', b));
  const rootOf = async (leaf, index, size, path) => {
    let n = BigInt(index), last = BigInt(size) - 1n;
    if (n < 0n || n > last) return null;
    let r = await sha256(join([0], leaf));
    for (const p of path) {
      if (last === 0n) return null;
      if (n & 1n || n === last) {
        r = await sha256(join([1], p, r));
        while (!(n & 1n) && n !== 0n) { n >>= 1n; last >>= 1n; }
      } else {
        r = await sha256(join([1], r, p));
      }
      n >>= 1n;
      last >>= 1n;
    }
    return last === 0n ? r : null;
  };
  const proof = async () => {
    const box = $('[data-proof]');
    if (!box) return;
    const show = (which, got) => {
      const part = $(`template[data-${which}]`, box).content.cloneNode(true);
      if (got && $('[data-got]', part)) $('[data-got]', part).textContent = got;
      $('[data-verdict]', box).replaceChildren(part);
      box.dataset.checked = which;
    };
    if (!globalThis.crypto || !crypto.subtle) return show('cannot');
    try {
      const path = all('[data-path] code', box).map((c) => bytes(c.textContent));
      const root = await rootOf(bytes(box.dataset.leaf), box.dataset.index, box.dataset.size, path);
      const got = root ? text(root) : 'none: the path does not fit the log';
      show(got === box.dataset.root ? 'yes' : 'no', got);
    } catch (e) {
      show('no', String(e));
    }
  };

  const dress = () => { times(); copies(); plan(); matches(); bulk(); proof(); };

  // A live page fetches itself again when its stream says that it is out of date,
  // and keeps focus, scroll and what is unfolded. What somebody types is never
  // taken from them.
  const busy = () => {
    const a = document.activeElement;
    return !!$('main .act[open] form') || (a && a.closest('main') && /^(INPUT|TEXTAREA|SELECT)$/.test(a.tagName)) || all('main input[type=checkbox]').some((x) => x.checked !== x.defaultChecked);
  };
  const place = (el) => {
    if (!el || el === document.body) return null;
    if (el.id) return '#' + CSS.escape(el.id);
    const step = el.closest('.box');
    if (step) return `.box[data-step="${step.dataset.step}"]`;
    const keep = el.closest('[data-keep]');
    if (keep) return `[data-keep="${keep.dataset.keep}"]` + (el.tagName === 'SUMMARY' ? ' > summary' : '');
    return el.getAttribute('href') ? `main a[href="${CSS.escape(el.getAttribute('href'))}"]` : null;
  };
  let waiting = 0, late = false, fetching = false, stream = null, over = false;
  const quit = () => { over = true; stream?.close(); };
  const refresh = async () => {
    waiting = 0;
    if (fetching || busy() || document.hidden) { late = true; return; }
    late = false;
    fetching = true;
    let pause = 300;
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' }, credentials: 'same-origin', signal: AbortSignal.timeout(60000) });
      if (answer.redirected) { quit(); return; } // signed out: the page stays as it is
      if (!answer.ok) throw new Error(answer.statusText);
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const main = $('main'), fresh = $('main', next);
      if (!fresh || busy()) { late = true; return; }
      const focus = place(document.activeElement && main.contains(document.activeElement) ? document.activeElement : null);
      const scroll = [scrollX, scrollY];
      const kept = all('[data-keep]', main).map((e) => [e.dataset.keep, e.open, e.scrollLeft, e.scrollTop]);
      const open = new Set(all('details[open]:not([data-keep]) > summary', main).map((s) => s.parentElement.parentElement.id + s.textContent));
      const before = $('[data-summary]', main)?.dataset.summary;
      // What a change came to is told once, so a page that follows keeps it.
      const told = $('main > [data-flash]');
      main.replaceChildren(...(told ? [told] : []), ...fresh.childNodes);
      for (const [key, was, left, top] of kept) {
        const e = $(`[data-keep="${CSS.escape(key)}"]`, main);
        if (!e) continue;
        if (was) e.open = true;
        e.scrollLeft = left;
        e.scrollTop = top;
      }
      for (const s of all('details:not([data-keep]) > summary', main)) if (open.has(s.parentElement.parentElement.id + s.textContent)) s.parentElement.open = true;
      const side = $('.side', next);
      if (side && $('.side') && !$('.side').contains(document.activeElement)) $('.side').replaceChildren(...side.childNodes);
      dress();
      scrollTo(...scroll);
      if (focus) $(focus)?.focus({ preventScroll: true });
      const after = $('[data-summary]', main)?.dataset.summary;
      if (after && after !== before) say(after);
    } catch {
      late = true;
      pause = 5000;
    } finally {
      fetching = false;
      // What came meanwhile, or failed, is fetched now: no other event may follow.
      if (late && !busy() && !document.hidden) soon(pause);
    }
  };
  const soon = (pause = 300) => { if (!waiting) waiting = setTimeout(refresh, pause); };
  const live = () => {
    const path = $('main')?.dataset.events;
    if (!path || !globalThis.EventSource) return;
    const listen = (again) => {
      if (over) return;
      stream = new EventSource(path);
      for (const name of ['message', 'operation', 'step', 'approval', 'finding', 'hold', 'tenant', 'change', 'end']) stream.addEventListener(name, () => soon());
      stream.addEventListener('end', quit);
      // A browser tries again by itself when a stream breaks off, but not after an answer that refuses it.
      stream.addEventListener('error', () => { if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 10000, true); });
      if (again) soon();
    };
    listen(false);
    for (const e of ['focusout', 'toggle', 'change']) document.addEventListener(e, () => { if (late) setTimeout(() => { if (late && !busy()) soon(); }, 200); }, true);
    document.addEventListener('visibilitychange', () => { if (late && !document.hidden) soon(); });
    addEventListener('pagehide', () => stream.close());
    addEventListener('pageshow', (e) => { if (e.persisted) listen(true); });
  };

  // Keys: "/" searches, "g" and a letter goes to a page, "?" lists them.
  const help = () => {
    let d = $('#keyhelp');
    if (!d) {
      d = document.createElement('dialog');
      d.id = 'keyhelp';
      d.setAttribute('aria-labelledby', 'keyhelp-title');
      const h = document.createElement('h2');
      h.id = 'keyhelp-title';
      h.textContent = 'Keys';
      const list = document.createElement('dl');
      const row = (keys, what) => {
        const dt = document.createElement('dt'), dd = document.createElement('dd');
        keys.forEach((k, i) => { const e = document.createElement('kbd'); e.textContent = k; if (i) dt.append(' '); dt.append(e); });
        dd.textContent = what;
        list.append(dt, dd);
      };
      row(['/'], 'find a tenant');
      for (const a of all('[data-go]')) row(['g', a.dataset.go], $('span', a).textContent);
      row(['?'], 'this list');
      const form = document.createElement('form');
      form.method = 'dialog';
      const b = document.createElement('button');
      b.className = 'button';
      b.textContent = 'Close';
      form.append(b);
      d.append(h, list, form);
      document.body.append(d);
    }
    if (!d.open) d.showModal();
  };
  let going = 0;
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    if (!(e.target instanceof Element)) return;
    if (e.target.closest('input, textarea, select, dialog')) {
      if (e.key === 'Escape' && e.target.matches('input[type=search]')) e.target.blur();
      return;
    }
    if (e.key === 'Escape') { all('details.act[open], details.me[open]').forEach((d) => { d.open = false; $('summary', d).focus(); }); return; }
    if (Date.now() - going < 1500) {
      going = 0;
      const a = $(`[data-go="${CSS.escape(e.key)}"]`);
      if (a) { e.preventDefault(); a.click(); }
      return;
    }
    if (e.key === 'g') going = Date.now();
    if (e.key === '/') { const q = $('[data-key="/"]'); if (q) { e.preventDefault(); q.focus(); q.select(); } }
    if (e.key === '?' && $('[data-go]')) { e.preventDefault(); help(); }
  });
  document.addEventListener('click', (e) => {
    for (const d of all('details.me[open], .pagehead details.act[open], td details.act[open]')) if (!d.contains(e.target)) d.open = false;
  });

  dress();
  toNow();
  live();
  $('.side [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  setInterval(times, 30000);
})();
