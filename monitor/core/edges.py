"""Onsets of the ionisation edges between 50 and 3000 eV that EELS meets most.

Energies in eV after Ahn and Krivanek, EELS Atlas (Gatan, 1983), and Egerton, Electron Energy-Loss Spectroscopy in the
Electron Microscope (3rd ed., 2011), appendix D; white lines peak 1 to 3 eV above.
"""

from __future__ import annotations

BELOW_ONSET_EV = 7.0
ABOVE_ONSET_EV = 15.0

HANDICAP_EV = {"K": 0.0, "L3": 0.0, "L2,3": 0.0, "M2,3": 1.0, "L2": 3.0}
MINOR_EV = 5.0
"""How much nearer an edge must be to name a place that a K or L3 edge would name as well."""

_TABLE = """
Mg L2,3 51; Fe M2,3 54; Li K 55; Co M2,3 60; Ni M2,3 68; Al L2,3 73; Cu M2,3 74; Si L2,3 99; Be K 111; P L2,3 132;
Sr M4,5 133; Y M4,5 157; S L2,3 165; Zr M4,5 180; B K 188; Cl L2,3 200; Nb M4,5 205; Mo M4,5 227; Ru M4,5 279;
C K 284; K L3 294; K L2 297; Rh M4,5 308; Pd M4,5 335; Ca L3 346; Ca L2 350; Ag M4,5 367; N K 401; Sc L3 402;
Cd M4,5 404; In M5 443; Ti L3 456; Ti L2 462; Sn M5 485; V L3 513; V L2 521; Sb M5 528; O K 532; Te M5 572; Cr L3 575;
Cr L2 584; I M5 619; Mn L3 640; Mn L2 651; F K 685; Fe L3 708; Fe L2 721; Cs M5 726; Co L3 779; Ba M5 781; Co L2 794;
Ba M4 796; La M5 832; La M4 849; Ni L3 855; Ni L2 872; Ce M5 883; Ce M4 901; Cu L3 931; Pr M5 931; Cu L2 951;
Nd M5 978; Zn L3 1020; Zn L2 1043; Na K 1072; Sm M5 1080; Ga L3 1115; Eu M5 1131; Gd M5 1185; Ge L3 1217; Tb M5 1241;
Dy M5 1295; Mg K 1305; As L3 1323; Ho M5 1351; Er M5 1409; Se L3 1436; Tm M5 1468; Yb M5 1528; Br L3 1550; Al K 1560;
Lu M5 1588; Hf M5 1662; Ta M5 1735; Rb L3 1804; W M5 1809; Si K 1839; Re M5 1883; Sr L3 1940; Os M5 1960; Ir M5 2040;
Y L3 2080; Pt M5 2122; P K 2146; Au M5 2206; Zr L3 2222; Hg M5 2295; Nb L3 2371; Tl M5 2389; S K 2472; Pb M5 2484;
Mo L3 2520; Bi M5 2580; Cl K 2822; Ru L3 2838
"""

ONSETS_EV: dict[str, float] = {
    " ".join(words[:2]): float(words[2]) for words in (entry.split() for entry in _TABLE.split(";"))
}
"""Edge name, such as "Fe L3", to onset in eV."""


def nearest_edge(energy_ev: float) -> str | None:
    """The edge nearest to `energy_ev`, major ones preferred, where one is near enough to explain a change there."""
    near = {
        name: abs(energy_ev - onset_ev) + HANDICAP_EV.get(name.split()[1], MINOR_EV)
        for name, onset_ev in ONSETS_EV.items()
        if -BELOW_ONSET_EV <= energy_ev - onset_ev <= ABOVE_ONSET_EV
    }
    return min(near, key=near.__getitem__) if near else None
