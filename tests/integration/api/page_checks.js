// Returns a list of what is wrong with the page that is shown: one line for each fault.
() => {
  const faults = [];
  const shown = (el) => el.checkVisibility({ visibilityProperty: true }) && !el.closest(".skip");
  const name = (el) => `${el.tagName.toLowerCase()} ${(el.name || el.textContent || "").trim().slice(0, 30)}`;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);

  const width = document.scrollingElement.scrollWidth;
  if (width > innerWidth) faults.push(`the page scrolls sideways: ${width} > ${innerWidth}`);
  for (const el of all("*")) {
    if (el.scrollWidth > el.clientWidth + 1 && getComputedStyle(el).overflowX === "auto"
        && el.tabIndex !== 0) faults.push(`${name(el)}: scrolls, but not by keyboard`);
  }
  for (const el of all("[role=region]")) {
    if (!el.getAttribute("aria-label")) faults.push(`${name(el)}: a region without a label`);
  }
  for (const el of all("table")) {
    if (!el.closest("[role=region]")) faults.push(`${name(el)}: a table outside a region`);
  }

  for (const el of all("input:not([type=hidden]), select, textarea")) {
    const label = el.getAttribute("aria-label") || [...(el.labels || [])].map((l) => l.textContent).join(" ");
    if (!label.trim()) faults.push(`${name(el)}: no label`);
  }
  for (const el of all("a[href], button")) {
    if (!(el.getAttribute("aria-label") || el.textContent).trim()) faults.push(`${name(el)}: no name`);
  }

  // WCAG 2.5.8: 24 by 24 px, or a link within a sentence, whose height its line sets.
  const within_sentence = (el) => getComputedStyle(el).display === "inline"
    && [...el.parentElement.childNodes].some((n) => n.nodeType === 3 && n.data.trim().length > 1);
  for (const el of all("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
    const box = el.getBoundingClientRect();
    if ((box.width < 24 || box.height < 24) && !within_sentence(el)) {
      faults.push(`${name(el)}: ${Math.round(box.width)} by ${Math.round(box.height)} px`);
    }
  }

  // WCAG 1.4.3: the contrast of text with the first opaque background behind it.
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (el) => {
    for (let at = el; at; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
      if (color[3] !== 0) faults.push(`${name(at)}: a translucent background`);
    }
    return [255, 255, 255];
  };
  for (const el of all("body *")) {
    if (![...el.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && el.tagName !== "INPUT") continue;
    const style = getComputedStyle(el);
    const [a, b] = [luminance(parts(style.color)), luminance(background(el))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faults.push(`${name(el)}: contrast ${contrast.toFixed(2)}`);
    if (style.opacity !== "1") faults.push(`${name(el)}: opacity makes its contrast unknown`);
  }
  return faults;
}
