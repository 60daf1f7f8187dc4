// Zoom of plots: wheel or + and -, drag or arrow keys, double click or 0 to go back. Without this script every
// plot is complete, the newest commits have a plot of their own, and the figures are in tables.
for (const plot of document.querySelectorAll("figure svg[viewBox]:not(.key)")) {
  const whole = plot.getAttribute("viewBox").split(/[\s,]+/).map(Number);
  let box = whole.slice(), grip = null;
  const show = next => {
    next[2] = Math.min(whole[2], Math.max(whole[2] / 40, next[2]));
    next[3] = next[2] * whole[3] / whole[2];
    for (const axis of [0, 1]) {
      next[axis] = Math.min(whole[axis] + whole[axis + 2] - next[axis + 2], Math.max(whole[axis], next[axis]));
    }
    box = next;
    plot.setAttribute("viewBox", box.join(" "));
  };
  const zoom = (factor, x = 0.5, y = 0.5) => {
    const width = Math.min(whole[2], box[2] * factor), height = width * whole[3] / whole[2];
    show([box[0] + (box[2] - width) * x, box[1] + (box[3] - height) * y, width, height]);
  };
  const pan = (x, y) => show([box[0] + x * box[2], box[1] + y * box[3], box[2], box[3]]);
  plot.tabIndex = 0;
  plot.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.shiftKey && box[2] === whole[2] && event.deltaY > 0) return;
    event.preventDefault();
    const area = plot.getBoundingClientRect();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, (event.clientX - area.x) / area.width, (event.clientY - area.y) / area.height);
  }, {passive: false});
  plot.addEventListener("pointerdown", event => {
    if (box[2] < whole[2]) { grip = [event.clientX, event.clientY]; plot.setPointerCapture(event.pointerId); }
  });
  plot.addEventListener("pointermove", event => {
    if (!grip) return;
    const area = plot.getBoundingClientRect();
    pan((grip[0] - event.clientX) / area.width, (grip[1] - event.clientY) / area.height);
    grip = [event.clientX, event.clientY];
  });
  plot.addEventListener("pointerup", () => { grip = null; });
  plot.addEventListener("dblclick", () => show(whole.slice()));
  plot.addEventListener("keydown", event => {
    const act = {"+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), "0": () => show(whole.slice()),
      ArrowLeft: () => pan(-0.1, 0), ArrowRight: () => pan(0.1, 0),
      ArrowUp: () => pan(0, -0.1), ArrowDown: () => pan(0, 0.1)}[event.key];
    if (act && !event.ctrlKey && !event.metaKey && (box[2] < whole[2] || "+=".includes(event.key))) {
      event.preventDefault();
      act();
    }
  });
}
