"""Word lists of the small tasks in `bench.compress.tasks`."""

from __future__ import annotations

ANIMALS = (
    "cat dog horse cow sheep goat pig lion tiger bear wolf fox deer rabbit mouse rat monkey elephant giraffe whale"
)
ANIMALS += " shark eagle owl crow duck goose chicken turkey snake frog"
FOODS = (
    "bread cheese apple orange banana grape lemon pear peach cherry rice pasta soup salad cake pie cookie butter egg"
)
FOODS += " onion carrot potato tomato pepper bean corn honey sugar pizza sandwich"
TOOLS = (
    "hammer saw drill wrench screwdriver axe shovel rake knife scissors ladder rope bucket brush broom needle chisel"
)
TOOLS += " pliers file clamp"
CLOTHES = (
    "shirt coat hat scarf glove sock shoe boot dress skirt belt jacket sweater tie cap vest jeans sandal robe shawl"
)
KINDS = {"animal": ANIMALS.split(), "food": FOODS.split(), "tool": TOOLS.split(), "clothing": CLOTHES.split()}
PLAIN = "table chair lamp door window garden river bridge tower street market school doctor teacher farmer driver"
PLAIN += " painter writer singer friend letter book paper picture music story engine wheel train boat island forest"
PLAIN += " mountain valley desert cloud storm winter summer morning evening bottle basket blanket pillow mirror candle"
NOUNS = [each for words in KINDS.values() for each in words] + PLAIN.split()
UNEVEN = {  # plurals
    **{"sheep": "sheep", "deer": "deer", "goose": "geese", "mouse": "mice", "fox": "foxes", "dress": "dresses"},
    **{"wolf": "wolves", "knife": "knives", "scarf": "scarves", "potato": "potatoes", "tomato": "tomatoes"},
    **{"scissors": "scissors", "pliers": "pliers", "jeans": "jeans", "bread": "breads", "axe": "axes"},
}
VERBS = {  # past
    **{"go": "went", "see": "saw", "eat": "ate", "run": "ran", "take": "took", "give": "gave", "make": "made"},
    **{"come": "came", "know": "knew", "think": "thought", "find": "found", "tell": "told", "feel": "felt"},
    **{"leave": "left", "keep": "kept", "hold": "held", "write": "wrote", "sit": "sat", "lose": "lost", "pay": "paid"},
    **{"meet": "met", "speak": "spoke", "read": "read", "grow": "grew", "win": "won", "buy": "bought", "send": "sent"},
    **{"build": "built", "fall": "fell", "sell": "sold", "drive": "drove", "break": "broke", "teach": "taught"},
    **{"walk": "walked", "play": "played", "move": "moved", "live": "lived", "work": "worked", "call": "called"},
    **{"ask": "asked", "need": "needed", "help": "helped", "turn": "turned", "start": "started", "show": "showed"},
    **{"look": "looked", "use": "used", "want": "wanted", "like": "liked", "talk": "talked", "open": "opened"},
    **{"close": "closed", "wait": "waited", "learn": "learned", "change": "changed", "watch": "watched"},
    **{"follow": "followed", "create": "created", "stop": "stopped", "plan": "planned", "carry": "carried"},
}
OPPOSITES = {
    **{"big": "small", "hot": "cold", "fast": "slow", "high": "low", "old": "new", "rich": "poor", "hard": "soft"},
    **{"light": "dark", "early": "late", "full": "empty", "clean": "dirty", "strong": "weak", "happy": "sad"},
    **{"thick": "thin", "wide": "narrow", "deep": "shallow", "loud": "quiet", "wet": "dry", "open": "closed"},
    **{"true": "false", "good": "bad", "right": "wrong", "long": "short", "heavy": "light", "young": "old"},
    **{"sharp": "dull", "tight": "loose", "rough": "smooth", "cheap": "expensive", "brave": "afraid"},
    **{"safe": "dangerous", "easy": "difficult", "first": "last", "up": "down", "inside": "outside", "left": "right"},
    **{"north": "south", "east": "west", "day": "night", "love": "hate", "win": "lose", "buy": "sell", "push": "pull"},
    **{"begin": "end", "give": "take", "front": "back", "before": "after", "above": "below", "more": "less"},
}
COMPARED = {
    **{"big": "bigger", "small": "smaller", "hot": "hotter", "cold": "colder", "fast": "faster", "slow": "slower"},
    **{"high": "higher", "low": "lower", "old": "older", "new": "newer", "rich": "richer", "poor": "poorer"},
    **{"hard": "harder", "soft": "softer", "light": "lighter", "dark": "darker", "early": "earlier", "late": "later"},
    **{"clean": "cleaner", "dirty": "dirtier", "strong": "stronger", "weak": "weaker", "happy": "happier"},
    **{"sad": "sadder", "thick": "thicker", "thin": "thinner", "wide": "wider", "deep": "deeper", "loud": "louder"},
    **{"wet": "wetter", "dry": "drier", "long": "longer", "short": "shorter", "heavy": "heavier", "tall": "taller"},
    **{"sharp": "sharper", "tight": "tighter", "rough": "rougher", "cheap": "cheaper", "brave": "braver"},
    **{"safe": "safer", "easy": "easier", "warm": "warmer", "cool": "cooler", "kind": "kinder", "quick": "quicker"},
}
CAPITALS = {
    **{
        "France": "Paris",
        "Italy": "Rome",
        "Spain": "Madrid",
        "Germany": "Berlin",
        "Japan": "Tokyo",
        "China": "Beijing",
    },
    **{"Russia": "Moscow", "Egypt": "Cairo", "Greece": "Athens", "Turkey": "Ankara", "India": "New Delhi"},
    **{"Canada": "Ottawa", "Cuba": "Havana", "Peru": "Lima", "Chile": "Santiago", "Kenya": "Nairobi"},
    **{"Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki", "Denmark": "Copenhagen", "Poland": "Warsaw"},
    **{"Austria": "Vienna", "Hungary": "Budapest", "Portugal": "Lisbon", "Ireland": "Dublin", "Iran": "Tehran"},
    **{"Iraq": "Baghdad", "Syria": "Damascus", "Lebanon": "Beirut", "Jordan": "Amman", "Thailand": "Bangkok"},
    **{"Vietnam": "Hanoi", "Nepal": "Kathmandu", "Cambodia": "Phnom Penh", "Ukraine": "Kyiv", "Belgium": "Brussels"},
    **{"Australia": "Canberra", "Argentina": "Buenos Aires", "Colombia": "Bogota", "Ghana": "Accra"},
    **{
        "Morocco": "Rabat",
        "Algeria": "Algiers",
        "Ethiopia": "Addis Ababa",
        "Bulgaria": "Sofia",
        "Romania": "Bucharest",
    },
}
ENGLISH = "cat dog horse cow bread cheese apple orange lemon rice soup house door window table book water fire sun moon"
ENGLISH += " tree flower river mountain sea city street school friend mother father brother sister hand head heart eye"
ENGLISH += " day night year red green blue white black one two three four five"
SPANISH = "gato perro caballo vaca pan queso manzana naranja limón arroz sopa casa puerta ventana mesa libro agua fuego"
SPANISH += " sol luna árbol flor río montaña mar ciudad calle escuela amigo madre padre hermano hermana mano cabeza"
SPANISH += " corazón ojo día noche año rojo verde azul blanco negro uno dos tres cuatro cinco"
FRENCH = "chat chien cheval vache pain fromage pomme orange citron riz soupe maison porte fenêtre table livre eau feu"
FRENCH += " soleil lune arbre fleur rivière montagne mer ville rue école ami mère père frère soeur main tête coeur oeil"
FRENCH += " jour nuit année rouge vert bleu blanc noir un deux trois quatre cinq"
GERMAN = "Katze Hund Pferd Kuh Brot Käse Apfel Orange Zitrone Reis Suppe Haus Tür Fenster Tisch Buch Wasser Feuer Sonne"
GERMAN += (
    " Mond Baum Blume Fluss Berg Meer Stadt Straße Schule Freund Mutter Vater Bruder Schwester Hand Kopf Herz Auge"
)
GERMAN += " Tag Nacht Jahr rot grün blau weiß schwarz eins zwei drei vier fünf"
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
ONES += "seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
PEOPLE = (
    "Anna Ben Clara David Emma Frank Grace Henry Ivy Jack Kate Leo Mary Nick Olive Paul Ruth Sam Tina Victor".split()
)
SURNAMES = "Adams Baker Clark Davis Evans Foster Green Harris Irwin Jones King Lewis Moore Nelson Owens Parker".split()
PRAISED = (
    "wonderful excellent lovely great superb charming delightful perfect brilliant pleasant fresh friendly".split()
)
SCOLDED = "awful terrible boring broken dirty rude bland ugly horrible stale noisy useless".split()
