'use strict';
// Looks at the page it is put into, and notes what it finds in the root's data attributes.
const faults = [];
addEventListener('error', e => faults.push(`error: ${e.message}`), true);
addEventListener('unhandledrejection', e => faults.push(`rejection: ${e.reason}`));
addEventListener('securitypolicyviolation', e => faults.push(`policy: ${e.violatedDirective}`));
addEventListener('load', async () => {
  const data = document.documentElement.dataset;
  const players = [...document.querySelectorAll('audio')];
  const images = [...document.images];
  for (const details of document.querySelectorAll('details')) details.open = true;
  await Promise.all(images.map(image => image.decode().catch(e => faults.push(`picture: ${e}`))));
  data.pictures = `${images.filter(i => i.naturalWidth > 0).length} of ${images.length}`;
  data.dark = `${images.filter(i => i.currentSrc !== i.src).length} of ${images.length}`;
  let played = 0;
  for (const player of players) {
    player.muted = true;
    await player.play().then(() => played++, e => faults.push(`player: ${e}`));
  }
  data.played = `${played} of ${players.length}`;
  data.playing = players.filter(player => !player.paused).length; // the page stops all but the last one
  data.beyond = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const scrolled = [...document.querySelectorAll('.scroll')];
  data.focused = scrolled.filter(region => (region.focus(), document.activeElement === region)).length - scrolled.length;
  const skip = document.querySelector('a[href]');
  skip.focus();
  data.skip = `${skip.hash} ${skip.getBoundingClientRect().left >= 0}`;
  data.faults = JSON.stringify(faults);
  if (parent !== self) parent.postMessage({...data}, '*');
});
