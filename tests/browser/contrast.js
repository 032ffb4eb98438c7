// The texts of the page that do not stand out enough from what is behind them (WCAG 2.2, 1.4.3: 4.5 to 1).
const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const behind = (element) => {
  for (let at = element; at !== null; at = at.parentElement) {
    const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
    if (a === 1) return [r, g, b];
  }
  return [255, 255, 255];
};
document.getAnimations().forEach((animation) => animation.finish());
return [...document.querySelectorAll('body *')]
  .filter((element) => !element.disabled && element.ariaDisabled !== 'true' && element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== ''))
  .map((element) => {
    const pair = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
    return { text: element.textContent, ratio: (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) };
  })
  .filter(({ ratio }) => ratio < 4.5);
