const items = [...document.querySelectorAll("#gallery > li")];
const nav = document.getElementById("paging");
if (nav && items.length > Number(nav.dataset.per)) {
  const per = Number(nav.dataset.per);
  const last = Math.ceil(items.length / per) - 1;
  const [previous, next] = nav.querySelectorAll("button");
  const status = nav.querySelector("output");
  let page = 0;
  const show = () => {
    items.forEach((item, place) => { item.hidden = Math.floor(place / per) !== page; });
    const end = Math.min(items.length, (page + 1) * per);
    status.textContent = `${page * per + 1} to ${end} of ${items.length}`;
    previous.disabled = page === 0;
    next.disabled = page === last;
  };
  const turn = (step) => () => { page = Math.min(last, Math.max(0, page + step)); show(); };
  previous.addEventListener("click", turn(-1));
  next.addEventListener("click", turn(1));
  nav.hidden = false;
  show();
}
