"""The words of mathematical notation: which command or character means what to the tokenizer."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNICODE = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": r"\div ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∞": r"\infty ",
    "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "φ": r"\phi ", "λ": r"\lambda ",
    "ω": r"\omega ", "μ": r"\mu ", "σ": r"\sigma ", "°": r"^\circ ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∅": r"\emptyset ", "±": r"\pm ", "∓": r"\mp ", "√": r"\sqrt ", "∛": r"\sqrt[3]",
    "∜": r"\sqrt[4]", "ℝ": r"\mathbb{R}",
    "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "€": r"\$", "£": r"\$", "¥": r"\$", "₹": r"\$", "′": "'", "’": "'", "⟨": r"\langle ", "⟩": r"\rangle ",
    "∶": ":", "⁄": "/", "∕": "/", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "¢": r"\text{ cents}", "\u200b": " ", "\u2061": " ", "\ufeff": " ",
    "﹣": "-", "－": "-", "＋": "+", "＝": "=", "（": "(", "）": ")", "［": "[", "］": "]", "，": ",", "：": ":",
}  # fmt: skip
TO_ASCII = str.maketrans(UNICODE)
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ", "0123456789+-=()n")
LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ", "0123456789+-=()n")

FUNCTIONS = words(
    """sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth asin acos atan ln log lg
    exp cis sqrt abs max min gcd lcm det floor ceil factorial cbrt"""
)
GREEK = words(
    """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau
    upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega infty ell hbar"""
)
BIG = words("sum prod int iint oint lim limsup liminf bigcup bigcap")
RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", r"\le": "<=", r"\leq": "<=",
    r"\leqslant": "<=", r"\ge": ">=", r"\geq": ">=", r"\geqslant": ">=", r"\lt": "<", r"\gt": ">", r"\ne": "!=",
    r"\neq": "!=", r"\in": "in", r"\approx": "~", r"\sim": "~", r"\simeq": "~", r"\equiv": "===", r"\to": "->",
    r"\rightarrow": "->", r"\implies": "=>", r"\Rightarrow": "=>", r"\notin": "notin", r"\subset": "subset",
    r"\subseteq": "subseteq", r"\Longrightarrow": "=>", r"\iff": "=>", r"\cong": "~=", r"\doteq": "=",
}  # fmt: skip
OPERATORS = {
    "+": "+", "-": "-", "*": "*", "/": "/", "^": "^", "**": "^", "_": "_", "!": "!", "'": "'", "&": "&", ":": ":",
    r"\cdot": "*", r"\times": "*", r"\ast": "*", r"\div": "/", r"\pm": "pm", r"\mp": "mp", "%": "%",
    r"\%": "%", "|": "|", r"\mid": "mid", r"\vert": "|", r"\lvert": "|", r"\rvert": "|", r"\|": "||", r"\Vert": "||",
    r"\cup": "cup", r"\cap": "cap", r"\setminus": "setminus", r"\backslash": "setminus", r"\circ": "circ",
    r"\prime": "'", r"\colon": ":", "+-": "pm", r"\degree": "degree", r"\bmod": "mod", r"\mod": "mod", r"\pmod": "mod",
    r"\over": "over", r"\choose": "choose",
}  # fmt: skip
OPENING = {
    "(": "(", "[": "[", "{": "{", r"\{": "set", r"\lbrace": "set", r"\lbrack": "[", r"\langle": "<",
    r"\lfloor": "floor", r"\lceil": "ceil", r"\lparen": "(",
}  # fmt: skip
CLOSING = {
    ")": ")", "]": "]", "}": "}", r"\}": "set", r"\rbrace": "set", r"\rbrack": "]", r"\rangle": ">",
    r"\rfloor": "floor", r"\rceil": "ceil", r"\rparen": ")",
}  # fmt: skip
DROPPED = words(
    r"""\left \right \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \displaystyle \textstyle \scriptstyle
    \limits \nolimits \! \, \; \: \> \quad \qquad \ensuremath \rm \bf \it \boldsymbol \bm \mathstrut \hfill \strut \tiny
    \small \large \Large \nobreak \allowbreak \middle \underline \$ \( \) \[ \] \boxed \fbox \smash
    \mathop \mathord \therefore"""
) | {"\\ ", "\\\n"}
TEXT_COMMANDS = words(
    "text textnormal textbf textit textrm textsf texttt mbox hbox mathrm mathbf mathit mathsf mathtt operatorname"
)
UNSEEN = words("color textcolor hspace vspace phantom hphantom vphantom tag")  # with their argument
ACCENTS = {
    name: name for name in words("vec overrightarrow hat bar overline tilde dot mathcal mathbb mathfrak mathscr")
}
ACCENTS |= {"widehat": "hat", "Bbb": "mathbb", "partial": "partial"}  # \\partial f is one symbol: it does not cancel
NAMED_SYMBOLS = words("angle triangle square Re Im perp parallel star N R Z Q")

SEPARATING = words("and or and/or , ; und et ou")
CONJOINING = words("and und et")
SHORT_WORDS = words(
    """am pm cm mm km ft in mi yd hr hrs min sec mph kg mg lb lbs oz ml kmh kph gal deg rad no yes odd day yrs mod if is
    the of to by at on we so for per all any non nor not its has was are age nil sq dog cat man men box USD th st
    nd rd old ago off ton cup egg pie bag pen car bus jar toy pts pcs way big new"""
)
LETTER_UNITS = words("m s g h L")  # in an upright font behind a number
SPACED_UNITS = words("N J V W K C A F T")  # and these with a space between, as `3\\mathrm{C}2` counts combinations
SCALES = {
    "dozen": 12, "score": 20, "hundred": 100, "gross": 144, "thousand": 10**3, "lakh": 10**5, "million": 10**6,
    "crore": 10**7, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
TAKEN_BACK = words(
    "not no wrong incorrect false never or maybe perhaps except unless isn't cannot can't impossible invalid"
)
COMPUTING_WORDS = words(  # as the first word behind a number
    "squared cubed factorial times plus minus over divided choose modulo mod half halves to through not and point root"
    " kilo mega giga tera milli micro nano centi deci fold"
)
CONSTANT_WORDS = {"inf": r"\infty", "infinity": r"\infty", "oo": r"\infty", "pi": r"\pi"}
NUMBER_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "twelve": "12", "sixteen": "16",
}  # fmt: skip
